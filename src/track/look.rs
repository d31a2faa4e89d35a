//! What a person looks like, coarsely: the colours of face and clothes in one frame.
//!
//! In: a picture and a face's box. Out: a [`Look`], and how far two of them are apart. It settles who is who when two
//! people cross or one takes another's place, where position alone cannot; it does not recognise anybody.

use faces::detect::Rect;
use faces::picture::Picture;

/// Colour histograms of the face and of the chest below it; each sums to one, or is absent when too little of its
/// region is in the picture.
#[derive(Clone, PartialEq)]
pub struct Look {
    face: Option<Histogram>,
    chest: Option<Histogram>,
}

/// Four steps of brightness by five of blue against brightness by five of red against brightness.
const BINS: usize = 4 * 5 * 5;
type Histogram = [f32; BINS];

/// Points looked at per region, on a grid this many wide and tall: enough for shares of a few per cent.
const GRID: u32 = 16;
/// Of the points, this share must be in the picture for the region to count.
const SEEN: f32 = 0.4;
/// How far a track's look moves towards that of a new frame: about twenty frames to get used to another light.
const LEARN: f32 = 0.1;

impl Look {
    /// Looks at the inner face, and at the chest: as wide as the face and three quarters as tall, half a face below it.
    pub fn of(picture: &Picture, bbox: &Rect) -> Self {
        let part = |left: f32, top: f32, width: f32, height: f32| Rect {
            x: bbox.x + left * bbox.width,
            y: bbox.y + top * bbox.height,
            width: width * bbox.width,
            height: height * bbox.height,
        };
        Self {
            face: histogram(picture, &part(0.15, 0.1, 0.7, 0.8)),
            chest: histogram(picture, &part(-0.1, 1.5, 1.2, 0.75)),
        }
    }

    /// 0 (the same colours) to 1 (none in common): the Hellinger distance, `sqrt(1 - Σ sqrt(p q))`, the chest counting
    /// twice as clothes differ more than faces. `None` when the two share no region.
    pub fn distance(&self, other: &Self) -> Option<f32> {
        let apart = |a: &Option<Histogram>, b: &Option<Histogram>| Some(hellinger(a.as_ref()?, b.as_ref()?));
        match (apart(&self.face, &other.face), apart(&self.chest, &other.chest)) {
            (Some(face), Some(chest)) => Some((face + 2.0 * chest) / 3.0),
            (Some(one), None) | (None, Some(one)) => Some(one),
            (None, None) => None,
        }
    }

    /// Gets used to how the person looks now.
    pub fn learn(&mut self, now: &Self) {
        for (known, new) in [(&mut self.face, &now.face), (&mut self.chest, &now.chest)] {
            match (known.as_mut(), new) {
                (Some(known), Some(new)) => known.iter_mut().zip(new).for_each(|(k, n)| *k += LEARN * (n - *k)),
                (None, Some(new)) => *known = Some(*new),
                (_, None) => {}
            }
        }
    }
}

fn histogram(picture: &Picture, region: &Rect) -> Option<Histogram> {
    let mut bins = [0f32; BINS];
    let mut seen = 0u32;
    for j in 0..GRID {
        let y = region.y + region.height * (j as f32 + 0.5) / GRID as f32;
        if !(y >= 0.0 && y < picture.height() as f32) {
            continue;
        }
        let row = picture.row(y as u32);
        for i in 0..GRID {
            let x = region.x + region.width * (i as f32 + 0.5) / GRID as f32;
            if x >= 0.0 && x < picture.width() as f32 {
                let at = x as usize * 3;
                count(&mut bins, row[at], row[at + 1], row[at + 2]);
                seen += 1;
            }
        }
    }
    if (seen as f32) < SEEN * (GRID * GRID) as f32 {
        return None;
    }
    bins.iter_mut().for_each(|bin| *bin /= seen as f32);
    Some(bins)
}

/// Counts one pixel, shared out between the nearest bins so that a little more light does not move it altogether.
/// Brightness has four steps of 64, the two colour differences five of 16 about grey, where most clothes are.
fn count(bins: &mut Histogram, blue: u8, green: u8, red: u8) {
    let (blue, green, red) = (f32::from(blue), f32::from(green), f32::from(red));
    let bright = 0.114 * blue + 0.587 * green + 0.299 * red;
    let axes = [(bright / 64.0 - 0.5, 4), ((blue - bright) / 16.0 + 2.0, 5), ((red - bright) / 16.0 + 2.0, 5)];
    let shares = axes.map(|(at, steps): (f32, usize)| {
        let at = at.clamp(0.0, (steps - 1) as f32);
        let low = (at as usize).min(steps - 2);
        let above = at - low as f32;
        [(low, 1.0 - above), (low + 1, above)]
    });
    for (light, a) in shares[0] {
        for (blueness, b) in shares[1] {
            for (redness, c) in shares[2] {
                bins[light * 25 + blueness * 5 + redness] += a * b * c;
            }
        }
    }
}

fn hellinger(p: &Histogram, q: &Histogram) -> f32 {
    let common: f32 = p.iter().zip(q).map(|(p, q)| (p * q).sqrt()).sum();
    (1.0 - common).max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A person with a face and a shirt of two colours, before a wall.
    fn person(face: [u8; 3], shirt: [u8; 3]) -> Picture {
        let pixel = |x: u32, y: u32| match (x, y) {
            (40..80, 20..70) => face,
            (20..100, 80..) => shirt,
            _ => [150, 150, 150],
        };
        Picture::new(120, 160, (0..160).flat_map(|y| (0..120).flat_map(move |x| pixel(x, y))).collect()).unwrap()
    }

    const BOX: Rect = Rect { x: 40.0, y: 20.0, width: 40.0, height: 50.0 };
    const SKIN: [u8; 3] = [100, 120, 170];

    #[test]
    fn other_clothes_look_further_apart_than_another_light() {
        let blue = Look::of(&person(SKIN, [120, 50, 40]), &BOX);
        let dimmer = Look::of(&person([92, 110, 158], [112, 46, 36]), &BOX);
        let red = Look::of(&person(SKIN, [40, 50, 160]), &BOX);
        assert!(blue.distance(&dimmer).unwrap() < 0.2);
        assert!(blue.distance(&red).unwrap() > 0.5);
        assert!(blue.distance(&blue).unwrap() < 0.01);
    }

    #[test]
    fn a_look_learns() {
        let mut known = Look::of(&person(SKIN, [120, 50, 40]), &BOX);
        let now = Look::of(&person(SKIN, [40, 50, 160]), &BOX);
        let before = known.distance(&now).unwrap();
        (0..30).for_each(|_| known.learn(&now));
        assert!(known.distance(&now).unwrap() < before / 2.0);
    }

    #[test]
    fn what_is_outside_the_picture_is_not_compared() {
        let picture = person(SKIN, [120, 50, 40]);
        let low = Rect { y: 100.0, ..BOX };
        let look = Look::of(&picture, &low);
        assert!(look.chest.is_none() && look.face.is_some());
        for far in [1e9, -1e9, f32::NAN, f32::INFINITY] {
            let nowhere = Look::of(&picture, &Rect { x: far, ..BOX });
            assert_eq!(nowhere.distance(&look), None);
        }
    }
}
