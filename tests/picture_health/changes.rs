//! What becomes of a picture: less light, a cover, a turn, and what a camera that is well shows as well.
//!
//! In: a picture. Out: another one. Nothing is random but what [`Dice`] give, which always give the same.

use faces::picture::{Picture, Turn};

/// Numbers that look random.
pub struct Dice {
    state: u64,
    /// Noise about 0, and its deviation.
    noise: (f32, Vec<i8>),
}

/// How many values of noise there are: rows begin anywhere among them.
const NOISE: usize = 1 << 16;

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { state: seed, noise: (0.0, Vec::new()) }
    }

    pub fn next(&mut self) -> u32 {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) as u32
    }

    /// The sum of four even numbers is about normal, with a deviation of 147.8.
    fn make_noise(&mut self, deviation: f32) {
        let mut one = || (0..4).map(|_| self.next() % 256).sum::<u32>() as f32 - 510.0;
        let values = (0..NOISE).map(|_| (one() * deviation / 147.8).round() as i8).collect();
        self.noise = (deviation, values);
    }
}

/// Changes each pixel (blue, green, red); `x` and `y` are shares of the sides.
fn each(picture: &Picture, change: impl Fn(f32, f32, [f32; 3]) -> [f32; 3]) -> Picture {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let mut bgr = picture.bgr().to_vec();
    for (at, pixel) in bgr.chunks_exact_mut(3).enumerate() {
        let x = ((at % width) as f32 + 0.5) / width as f32;
        let y = ((at / width) as f32 + 0.5) / height as f32;
        let changed = change(x, y, [f32::from(pixel[0]), f32::from(pixel[1]), f32::from(pixel[2])]);
        for (value, changed) in pixel.iter_mut().zip(changed) {
            // Rounded, and from 0 to 255, as such a conversion is.
            *value = (changed + 0.5) as u8;
        }
    }
    Picture::new(picture.width(), picture.height(), bgr).unwrap()
}

/// Where each pixel of a picture comes from, as shares of the sides from its middle (both in heights, so that a turn is
/// one). Beyond its edges it goes on as in a mirror, or is black.
fn warped(picture: &Picture, black: bool, from: impl Fn(f32, f32) -> (f32, f32)) -> Picture {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    let mirrored = |at: f32, length: f32| {
        let at = at.rem_euclid(2.0 * length);
        if at < length { at } else { 2.0 * length - at }
    };
    each(picture, |x, y, _| {
        let (x, y) = from((x - 0.5) * width / height, y - 0.5);
        let (x, y) = ((x * height / width + 0.5) * width, (y + 0.5) * height);
        let inside = (0.0..width).contains(&x) && (0.0..height).contains(&y);
        if black && !inside { [0.0; 3] } else { between(picture, mirrored(x, width), mirrored(y, height)) }
    })
}

/// The colour between four pixels.
fn between(picture: &Picture, x: f32, y: f32) -> [f32; 3] {
    let (x, y) = ((x - 0.5).max(0.0), (y - 0.5).max(0.0));
    let at = |down: u32, across: usize| {
        let row = picture.row((y as u32 + down).min(picture.height() - 1));
        let pixel = &row[(x as usize + across).min(picture.width() as usize - 1) * 3..][..3];
        [pixel[0], pixel[1], pixel[2]].map(f32::from)
    };
    let mix = |a: [f32; 3], b: [f32; 3], share: f32| std::array::from_fn(|n| a[n] + (b[n] - a[n]) * share);
    mix(mix(at(0, 0), at(0, 1), x.fract()), mix(at(1, 0), at(1, 1), x.fract()), y.fract())
}

pub fn brighter(picture: &Picture, times: f32, plus: f32) -> Picture {
    each(picture, |_, _, pixel| pixel.map(|value| value * times + plus))
}

/// Noise of this deviation in every value.
pub fn noise(picture: &Picture, deviation: f32, dice: &mut Dice) -> Picture {
    if dice.noise.0 != deviation {
        dice.make_noise(deviation);
    }
    let mut bgr = picture.bgr().to_vec();
    for row in bgr.chunks_mut(picture.width() as usize * 3) {
        let at = dice.next() as usize % (NOISE - row.len());
        for (value, noise) in row.iter_mut().zip(&dice.noise.1[at..]) {
            *value = value.saturating_add_signed(*noise);
        }
    }
    Picture::new(picture.width(), picture.height(), bgr).unwrap()
}

pub fn grey(picture: &Picture) -> Picture {
    each(picture, |_, _, [blue, green, red]| [0.114 * blue + 0.587 * green + 0.299 * red; 3])
}

/// Seen by the camera's own infra-red lamp: grey, other things bright than by day, and less of it with the distance.
pub fn infra_red(picture: &Picture) -> Picture {
    each(picture, |x, y, [blue, green, red]| {
        let falls = (-3.5 * ((x - 0.5).powi(2) + (y - 0.6).powi(2))).exp();
        [255.0 * ((0.1 * blue + 0.2 * green + 0.7 * red) / 255.0).powf(0.6) * falls; 3]
    })
}

/// Lit from the left.
pub fn side_lamp(picture: &Picture) -> Picture {
    each(picture, |x, _, pixel| pixel.map(|value| value * (1.2 - 0.8 * x)))
}

/// Less contrast, and more of one brightness: fog, a greasy thumb.
pub fn fogged(picture: &Picture, contrast: f32) -> Picture {
    brighter(picture, contrast, 170.0 * (1.0 - contrast))
}

/// Something plain over a part of the lens: left, top, right and bottom, as shares.
pub fn covered(picture: &Picture, [left, top, right, bottom]: [f32; 4], level: f32) -> Picture {
    each(
        picture,
        |x, y, pixel| {
            if (left..right).contains(&x) && (top..bottom).contains(&y) { [level; 3] } else { pixel }
        },
    )
}

/// A hand close to the lens: dark, with soft edges. Its middle and its half width and height, as shares.
pub fn hand(picture: &Picture, [x0, y0, wide, high]: [f32; 4]) -> Picture {
    each(picture, |x, y, pixel| {
        let away = (((x - x0) / wide).powi(2) + ((y - y0) / high).powi(2)).sqrt();
        let hides = ((1.15 - away) / 0.3).clamp(0.0, 1.0);
        pixel.map(|value| value * (1.0 - hides) + 25.0 * hides)
    })
}

/// Nothing but light that grows from the left to the right.
pub fn ramp(picture: &Picture, from: f32, to: f32) -> Picture {
    each(picture, |x, _, _| [from + (to - from) * x; 3])
}

/// Out of focus by this share of the width (the deviation of a normal distribution, by three means in a row).
pub fn blurred(picture: &Picture, share: f32) -> Picture {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let reach = (((4.0 * (share * width as f32).powi(2) + 1.0).sqrt() - 1.0) / 2.0).max(0.5);
    let mut planes: [Vec<f32>; 3] =
        std::array::from_fn(|n| picture.bgr().iter().skip(n).step_by(3).map(|value| f32::from(*value)).collect());
    for plane in &mut planes {
        for _ in 0..3 {
            (0..height).for_each(|y| smooth(plane, y * width, 1, width, reach));
            (0..width).for_each(|x| smooth(plane, x, width, height, reach));
        }
    }
    let pixel = |at: usize| [0, 1, 2].map(|n: usize| planes[n][at].round().clamp(0.0, 255.0) as u8);
    Picture::new(picture.width(), picture.height(), (0..width * height).flat_map(pixel).collect()).unwrap()
}

/// The means of a line's values over `reach` either side, a part of a value included.
fn smooth(plane: &mut [f32], first: usize, step: usize, length: usize, reach: f32) {
    let line: Vec<f32> = (0..length).map(|n| plane[first + n * step]).collect();
    let at = |n: i64| line[n.clamp(0, length as i64 - 1) as usize];
    let (whole, rest) = (reach as i64, reach.fract());
    let mut sum: f32 = (-whole..=whole).map(at).sum();
    for n in 0..length as i64 {
        let ends = at(n - whole - 1) + at(n + whole + 1);
        plane[first + n as usize * step] = (sum + rest * ends) / (2.0 * reach + 1.0);
        sum += at(n + whole + 1) - at(n - whole);
    }
}

/// The camera pushed aside, by shares of the sides.
pub fn shifted(picture: &Picture, across: f32, down: f32) -> Picture {
    let aspect = picture.width() as f32 / picture.height() as f32;
    warped(picture, false, |x, y| (x - across * aspect, y - down))
}

/// The camera turned by some degrees and zoomed.
pub fn tilted(picture: &Picture, degrees: f32, zoom: f32, black: bool) -> Picture {
    let (sin, cos) = degrees.to_radians().sin_cos();
    warped(picture, black, |x, y| ((cos * x - sin * y) / zoom, (sin * x + cos * y) / zoom))
}

/// On its side, and squeezed into the picture's sides.
pub fn squeezed(picture: &Picture, turn: Turn) -> Picture {
    let turned = picture.turned(turn).unwrap();
    turned.resized(picture.width(), picture.height(), faces::picture::Interpolation::Area).unwrap()
}

/// On its side, between black bars.
pub fn barred(picture: &Picture) -> Picture {
    let aspect = picture.width() as f32 / picture.height() as f32;
    warped(picture, true, |x, y| (y * aspect, -x * aspect))
}

/// Somebody in front of the camera; see [`pasted`].
pub fn person(picture: &Picture, visitor: &Picture, place: [f32; 4]) -> Picture {
    pasted(picture, visitor, place, |x, y| {
        let soft = |away: f32| ((1.0 - away) / 0.06 + 0.5).clamp(0.0, 1.0);
        let head = soft((((x - 0.435) / 0.14).powi(2) + ((y - 0.2) / 0.18).powi(2)).sqrt());
        let half_width = (0.15 + (y - 0.36) * 0.6).min(0.36);
        let body = if y > 0.34 { soft((x - 0.38).abs() / half_width) } else { 0.0 };
        head.max(body)
    })
}

/// Another picture before this one: left, top, right and bottom, as shares, and how much of it hides what is behind.
pub fn pasted(
    picture: &Picture,
    other: &Picture,
    [left, top, right, bottom]: [f32; 4],
    hides: impl Fn(f32, f32) -> f32,
) -> Picture {
    each(picture, |x, y, pixel| {
        let (x, y) = ((x - left) / (right - left), (y - top) / (bottom - top));
        if !(0.0..1.0).contains(&x) || !(0.0..1.0).contains(&y) {
            return pixel;
        }
        let hides = hides(x, y);
        if hides == 0.0 {
            return pixel;
        }
        let before = between(other, x * other.width() as f32, y * other.height() as f32);
        std::array::from_fn(|n| pixel[n] * (1.0 - hides) + before[n] * hides)
    })
}

/// Digits of a clock, burnt in: blocks that change every second.
pub fn clock(picture: &Picture, second: u32) -> Picture {
    each(picture, |x, y, pixel| {
        if !(0.05..0.25).contains(&x) || !(0.04..0.1).contains(&y) {
            return pixel;
        }
        let (column, row) = (((x - 0.05) * 60.0) as u32, ((y - 0.04) * 80.0) as u32);
        let lit = second.wrapping_mul(2_654_435_761) >> ((column + 5 * row) % 31) & 1;
        [if lit == 1 { 250.0 } else { 10.0 }; 3]
    })
}

/// Flakes close to the camera.
pub fn snow(picture: &Picture, dice: &mut Dice) -> Picture {
    let (width, height) = (picture.width(), picture.height());
    let mut bgr = picture.bgr().to_vec();
    for _ in 0..300 {
        let (left, top, wide) = (dice.next() % width, dice.next() % height, 2 + dice.next() % 5);
        for y in top..(top + 3 * wide).min(height) {
            let row = (y * width + left) as usize * 3;
            bgr[row..row + wide.min(width - left) as usize * 3].fill(235);
        }
    }
    Picture::new(width, height, bgr).unwrap()
}
