//! A face and where it is in a picture: points, rectangles, and what a detector says of one face.
//!
//! Plain geometry in pixels; it knows neither models nor pictures.

/// A point in pixels of the frame, `x` to the right, `y` down.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    pub x: f32,
    pub y: f32,
}

/// A rectangle in pixels of the frame; it may reach beyond the frame's edges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rect {
    pub x: f32,
    pub y: f32,
    pub width: f32,
    pub height: f32,
}

/// One face in one frame.
#[derive(Debug, Clone, PartialEq)]
pub struct Face {
    pub bbox: Rect,
    /// The eye at the picture's left, the eye at its right, nose tip, mouth corner at the left, mouth corner at the
    /// right: the order of the ArcFace template.
    pub landmarks: [Point; 5],
    /// 0 to 1.
    pub score: f32,
}

impl Rect {
    /// The rectangle of this size around a point.
    pub fn about(centre: Point, width: f32, height: f32) -> Self {
        Self { x: centre.x - width / 2.0, y: centre.y - height / 2.0, width, height }
    }

    /// The smallest upright rectangle that holds these points.
    pub fn holding(points: &[Point]) -> Self {
        let least = |of: fn(&Point) -> f32| points.iter().map(of).fold(f32::INFINITY, f32::min);
        let most = |of: fn(&Point) -> f32| points.iter().map(of).fold(f32::NEG_INFINITY, f32::max);
        let (x, y) = (least(|it| it.x), least(|it| it.y));
        Self { x, y, width: most(|it| it.x) - x, height: most(|it| it.y) - y }
    }

    /// Area in square pixels; zero for an empty or inverted rectangle.
    pub fn area(&self) -> f32 {
        self.width.max(0.0) * self.height.max(0.0)
    }

    pub fn centre(&self) -> Point {
        Point { x: self.x + self.width / 2.0, y: self.y + self.height / 2.0 }
    }

    /// Whether a point lies inside.
    pub fn holds(&self, point: Point) -> bool {
        (self.x..self.x + self.width).contains(&point.x) && (self.y..self.y + self.height).contains(&point.y)
    }

    /// The area both have in common, in square pixels.
    pub fn overlap(&self, other: &Rect) -> f32 {
        let across = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let down = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        across.max(0.0) * down.max(0.0)
    }

    /// Intersection over union, 0 to 1.
    pub fn iou(&self, other: &Rect) -> f32 {
        let overlap = self.overlap(other);
        let union = self.area() + other.area() - overlap;
        if union > 0.0 { overlap / union } else { 0.0 }
    }
}
