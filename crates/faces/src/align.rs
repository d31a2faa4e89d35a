//! From five landmarks to an upright face: the similarity transform that lays them on a template, and the chip it cuts.
//!
//! Pure: a picture and points in, a picture out. It knows the ArcFace template; what a model makes of the chip is the
//! model's business.

use crate::face::Point;
use crate::picture::{Border, Interpolation, Picture, PictureError};

/// Width and height of the aligned chip in pixels.
pub const CHIP_PX: u32 = 112;

/// Where the five landmarks lie in the 112x112 chip that face embeddings are trained on: the template of InsightFace
/// (`recognition/common/face_align.py`, `arcface_dst`).
pub const ARCFACE: [Point; 5] = [
    Point { x: 38.2946, y: 51.6963 },
    Point { x: 73.5318, y: 51.5014 },
    Point { x: 56.0252, y: 71.7366 },
    Point { x: 41.5493, y: 92.3655 },
    Point { x: 70.7299, y: 92.2041 },
];

/// A 2x3 matrix that takes a point of one picture to its place in another.
pub type Affine = [[f64; 3]; 2];

/// The rotation, uniform scale and shift that bring `from` closest to `to` in the sense of least squares, never a
/// mirroring: Umeyama, "Least-squares estimation of transformation parameters between two point patterns", 1991, which
/// in the plane needs no singular value decomposition.
///
/// Points that are all in one place have no direction and no size: the transform then only shifts. Points that are
/// no numbers give the transform that changes nothing. The result is finite whatever comes in.
pub fn similarity(from: &[Point; 5], to: &[Point; 5]) -> Affine {
    let (from, to) = (from.map(complex), to.map(complex));
    if !from.iter().chain(&to).all(|(x, y)| x.is_finite() && y.is_finite()) {
        return [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]];
    }
    let (from_centre, to_centre) = (mean(&from), mean(&to));
    // With points as complex numbers about their centres, the best factor is sum(conj(from) * to) / sum(|from|^2).
    let (mut real, mut imaginary, mut spread) = (0.0, 0.0, 0.0);
    for (a, b) in from.iter().zip(&to) {
        let (ax, ay) = (a.0 - from_centre.0, a.1 - from_centre.1);
        let (bx, by) = (b.0 - to_centre.0, b.1 - to_centre.1);
        real += ax * bx + ay * by;
        imaginary += ax * by - ay * bx;
        spread += ax * ax + ay * ay;
    }
    let (cosine, sine) = if spread > f64::EPSILON { (real / spread, imaginary / spread) } else { (1.0, 0.0) };
    [
        [cosine, -sine, to_centre.0 - cosine * from_centre.0 + sine * from_centre.1],
        [sine, cosine, to_centre.1 - sine * from_centre.0 - cosine * from_centre.1],
    ]
}

/// The face warped to the ArcFace template, [`CHIP_PX`] wide and high; what lies beyond the picture is black.
pub fn chip(picture: &Picture, landmarks: &[Point; 5]) -> Result<Picture, PictureError> {
    warp(picture, &similarity(landmarks, &ARCFACE), CHIP_PX)
}

/// The square of `side` pixels that the transform takes out of the picture; what lies beyond the picture is black.
///
/// A face much larger than the square is averaged down before it is warped, or the warp would pick single pixels and
/// with them the camera's noise.
pub fn warp(picture: &Picture, transform: &Affine, side: u32) -> Result<Picture, PictureError> {
    let scale = transform[0][0].hypot(transform[1][0]);
    let every = (1.0 / scale).floor();
    if !(2.0..=f64::from(u16::MAX)).contains(&every) {
        return picture.warped(transform, side, side, Border::Black);
    }
    let (left, top, right, bottom) = footprint(transform, scale, side);
    let (left, top) = (left.clamp(0.0, picture.width().into()), top.clamp(0.0, picture.height().into()));
    let cells = |from: f64, to: f64, length: u32| ((to.min(length.into()) - from) / every).floor();
    let (columns, rows) = (cells(left, right, picture.width()), cells(top, bottom, picture.height()));
    if columns < 1.0 || rows < 1.0 {
        return picture.warped(transform, side, side, Border::Black);
    }
    let part = picture.cropped(left as i64, top as i64, (columns * every) as u32, (rows * every) as u32)?;
    let small = part.resized(columns as u32, rows as u32, Interpolation::Area)?;
    // The middle of a small pixel lies in the middle of the `every` by `every` pixels it was made from.
    let middle = (every - 1.0) / 2.0;
    let [x, y] = [left + middle, top + middle];
    let on_small = transform.map(|[a, b, c]| [a * every, b * every, a * x + b * y + c]);
    small.warped(&on_small, side, side, Border::Black)
}

/// The upright rectangle of the picture that a square of `side` pixels is taken from, with a little to spare: left,
/// top, right, bottom. `scale` is the transform's and not zero.
fn footprint(transform: &Affine, scale: f64, side: u32) -> (f64, f64, f64, f64) {
    let middle = f64::from(side) / 2.0;
    let [x, y] = undone(transform).map(|[a, b, c]| a * middle + b * middle + c);
    let reach = (f64::from(side) * std::f64::consts::FRAC_1_SQRT_2 + 2.0) / scale;
    ((x - reach).floor(), (y - reach).floor(), (x + reach).ceil(), (y + reach).ceil())
}

/// The way from a picture to the `px` by `px` pixels that show the square of `side` pixels around a point of it,
/// turned clockwise by `turn` degrees.
pub fn square(centre: Point, side: f32, turn: f32, px: u32) -> Affine {
    let scale = f64::from(px) / f64::from(side);
    let (sine, cosine) = f64::from(turn).to_radians().sin_cos();
    let (a, b) = (scale * cosine, scale * sine);
    let (x, y, middle) = (f64::from(centre.x), f64::from(centre.y), f64::from(px) / 2.0);
    [[a, -b, middle - a * x + b * y], [b, a, middle - b * x - a * y]]
}

/// The way back of a similarity, which is undone by its transpose over its square.
pub fn undone([[a, _, c], [b, _, f]]: &Affine) -> Affine {
    let square = a * a + b * b;
    let (a, b) = (a / square, b / square);
    [[a, b, -a * c - b * f], [-b, a, b * c - a * f]]
}

/// Where a transform takes a point.
pub fn apply(transform: &Affine, point: Point) -> Point {
    let (x, y) = complex(point);
    let [first, second] = transform.map(|row| row[0] * x + row[1] * y + row[2]);
    Point { x: first as f32, y: second as f32 }
}

fn complex(point: Point) -> (f64, f64) {
    (point.x.into(), point.y.into())
}

fn mean(points: &[(f64, f64); 5]) -> (f64, f64) {
    let sum = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (sum.0 / 5.0, sum.1 / 5.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn points(coordinates: [[f32; 2]; 5]) -> [Point; 5] {
        coordinates.map(|[x, y]| Point { x, y })
    }

    /// The expected matrices were computed with NumPy after Umeyama's paper, by singular value decomposition.
    #[test]
    fn transforms_agree_with_a_reference() {
        let cases = [
            (
                "upright",
                [[210.5, 131.25], [262.75, 128.5], [238.0, 163.5], [216.25, 190.0], [259.5, 187.75]],
                [[0.681019756, -0.018968341, -102.609202153], [0.018968341, 0.681019756, -41.701667749]],
            ),
            (
                "turned",
                [[400.0, 300.0], [380.0, 350.5], [350.25, 318.75], [325.5, 290.0], [310.0, 330.25]],
                [[-0.154928535, 0.560590477, -67.472540697], [-0.560590477, -0.154928535, 319.125089302]],
            ),
            (
                "tiny",
                [[3.0, 4.0], [7.5, 4.25], [5.0, 6.5], [3.5, 9.0], [7.0, 9.25]],
                [[8.066603457, 0.238411305, 12.50630708], [-0.238411305, 8.066603457, 19.900937217]],
            ),
            (
                "upside down",
                [[150.0, 120.0], [110.0, 118.5], [131.0, 95.25], [146.5, 70.0], [114.0, 71.5]],
                [[-0.855785474, -0.008707184, 168.362624828], [0.008707184, -0.855785474, 152.108644486]],
            ),
            (
                "partly outside",
                [[-40.0, -10.5], [30.25, -12.0], [-3.0, 25.0], [-33.5, 61.0], [24.0, 60.25]],
                [[0.53828878, -0.001549982, 58.4599068], [0.001549982, 0.53828878, 58.585031379]],
            ),
        ];
        for (name, from, want) in cases {
            let got = similarity(&points(from), &ARCFACE);
            for (got, want) in got.iter().flatten().zip(want.iter().flatten()) {
                assert!((got - want).abs() < 1e-4, "{name}: {got} is not {want}");
            }
        }
    }

    #[test]
    fn a_similarity_of_the_template_is_undone_exactly() {
        let (sine, cosine) = 0.7f32.sin_cos();
        let moved = ARCFACE.map(|Point { x, y }| Point {
            x: 3.0 * (cosine * x - sine * y) + 500.0,
            y: 3.0 * (sine * x + cosine * y) - 20.0,
        });
        let back = similarity(&moved, &ARCFACE);
        for (from, to) in moved.iter().zip(&ARCFACE) {
            let got = apply(&back, *from);
            assert!((got.x - to.x).abs() < 1e-3 && (got.y - to.y).abs() < 1e-3, "{got:?} is not {to:?}");
        }
    }

    #[test]
    fn degenerate_landmarks_give_finite_transforms_and_a_chip() {
        let picture = Picture::filled(60, 40, [90, 100, 110]);
        let (nan, far) = (f32::NAN, f32::MAX);
        for case in [
            [[20.0, 20.0]; 5],
            [[0.0, 0.0]; 5],
            [[0.0, 0.0], [10.0, 10.0], [20.0, 20.0], [30.0, 30.0], [40.0, 40.0]],
            [[5.0, 0.0], [5.0, 10.0], [5.0, 20.0], [5.0, 30.0], [5.0, 40.0]],
            [[nan, 0.0], [10.0, 10.0], [20.0, 0.0], [5.0, 20.0], [15.0, 20.0]],
            [[f32::INFINITY, 0.0], [10.0, 10.0], [20.0, 0.0], [5.0, 20.0], [15.0, 20.0]],
            [[far, -far], [-far, far], [0.0, far], [far, far], [1.0, 1.0]],
            [[1e-30, 0.0], [0.0, 1e-30], [0.0, 0.0], [0.0, 0.0], [0.0, 0.0]],
        ] {
            let transform = similarity(&points(case), &ARCFACE);
            assert!(transform.iter().flatten().all(|value| value.is_finite()), "{case:?} gives {transform:?}");
            let chip = chip(&picture, &points(case)).unwrap();
            assert_eq!((chip.width(), chip.height()), (CHIP_PX, CHIP_PX), "{case:?}");
        }
    }

    #[test]
    fn a_large_face_is_averaged_and_stays_in_place() {
        // A slope of brightness, which averaging leaves as it is, under noise, which it removes.
        let (width, height) = (900, 700);
        let noise = |x: u32, y: u32| ((x * 7919 + y * 104_729) % 61) as i32 - 30;
        let pixel = |x: u32, y: u32| ((x / 6 + y / 10) as i32 + noise(x, y)).clamp(0, 255) as u8;
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [pixel(x, y); 3])).collect();
        let picture = Picture::new(width, height, pixels).unwrap();
        let (sine, cosine) = 0.3f32.sin_cos();
        let landmarks = ARCFACE.map(|Point { x, y }| Point {
            x: 5.0 * (cosine * x - sine * y) + 220.0,
            y: 5.0 * (sine * x + cosine * y) + 20.0,
        });
        let chip = chip(&picture, &landmarks).unwrap();
        let mut worst: f32 = 0.0;
        for (y, x) in (20..92u32).flat_map(|y| (20..92u32).map(move |x| (y, x))) {
            let there = Point { x: x as f32, y: y as f32 };
            let (px, py) =
                (5.0 * (cosine * there.x - sine * there.y) + 220.0, 5.0 * (sine * there.x + cosine * there.y) + 20.0);
            worst = worst.max((f32::from(chip.row(y)[x as usize * 3]) - (px / 6.0 + py / 10.0)).abs());
        }
        assert!(worst < 12.0, "off by {worst}, and single pixels by up to 30");
    }

    #[test]
    fn a_large_face_beyond_the_edge_is_black_there() {
        let picture = Picture::filled(600, 600, [200; 3]);
        let landmarks = ARCFACE.map(|Point { x, y }| Point { x: 5.0 * x - 280.0, y: 5.0 * y });
        let chip = chip(&picture, &landmarks).unwrap();
        assert_eq!((chip.row(60)[40 * 3], chip.row(60)[70 * 3]), (0, 200));
        let away = ARCFACE.map(|Point { x, y }| Point { x: 5.0 * x + 5000.0, y: 5.0 * y });
        assert!(self::chip(&picture, &away).unwrap().bgr().iter().all(|value| *value == 0));
    }

    #[test]
    fn a_chip_shows_the_landmarks_where_the_template_has_them() {
        // A dot of five pixels at each landmark of a face that is twice the template's size and upside down.
        let landmarks =
            ARCFACE.map(|Point { x, y }| Point { x: (250.0 - 2.0 * x).round(), y: (260.0 - 2.0 * y).round() });
        let mut pixels = vec![0; 260 * 280 * 3];
        for Point { x, y } in landmarks {
            for (dx, dy) in (-2..=2).flat_map(|dx| (-2..=2).map(move |dy| (dx, dy))) {
                let at = ((y as i32 + dy) * 260 + x as i32 + dx) as usize * 3;
                pixels[at..at + 3].fill(255);
            }
        }
        let chip = chip(&Picture::new(260, 280, pixels).unwrap(), &landmarks).unwrap();
        for Point { x, y } in ARCFACE {
            assert!(chip.row(y.round() as u32)[x.round() as usize * 3] > 200, "no dot at {x},{y}");
        }
        assert!(chip.row(5)[15] == 0);
    }
}
