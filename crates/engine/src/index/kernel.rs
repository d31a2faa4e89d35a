//! The inner loops of the index: coarse dot products of many rows with one probe, and exact ones of a few.
//!
//! In: packed rows. Out: numbers. On x86-64 with AVX2 the coarse ones are computed in its instructions, elsewhere in a
//! plain loop; as they are integers, both give the same to the last bit.

/// Rows whose coarse products are computed together.
pub const GROUP: usize = 4;

/// Calls `each` with the number of every fourth row and the dot products of it and the three after it with the probe.
/// `rows` are packed, each as long as the probe, which is a multiple of 32; their number is a multiple of four. No sum
/// of products may exceed an `i32`.
pub fn scan(rows: &[i8], probe: &[i16], each: impl FnMut(usize, [i32; GROUP])) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has what the function was compiled for.
        return unsafe { avx2::scan(rows, probe, each) };
    }
    plain_scan(rows, probe, each);
}

fn plain_scan(rows: &[i8], probe: &[i16], mut each: impl FnMut(usize, [i32; GROUP])) {
    for (group, rows) in rows.chunks_exact(GROUP * probe.len()).enumerate() {
        let mut products = [0; GROUP];
        for (product, row) in products.iter_mut().zip(rows.chunks_exact(probe.len())) {
            *product = row.iter().zip(probe).map(|(a, b)| i32::from(*a) * i32::from(*b)).sum();
        }
        each(group * GROUP, products);
    }
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use std::arch::x86_64::*;

    use super::GROUP;

    /// Values of one step: 16 codes widened to 16 bits fill a register.
    const STEP: usize = 16;

    #[target_feature(enable = "avx2")]
    pub fn scan(rows: &[i8], probe: &[i16], mut each: impl FnMut(usize, [i32; GROUP])) {
        let length = probe.len();
        for (group, rows) in rows.chunks_exact(GROUP * length).enumerate() {
            let mut sums = [_mm256_setzero_si256(); GROUP];
            for at in (0..length / STEP * STEP).step_by(STEP) {
                // SAFETY: `at + STEP` is at most `length`, the length of the probe and of each of the four rows.
                let wanted = unsafe { _mm256_loadu_si256(probe.as_ptr().add(at).cast()) };
                for (row, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: as above.
                    let codes = unsafe { _mm_loadu_si128(rows.as_ptr().add(row * length + at).cast()) };
                    *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(_mm256_cvtepi8_epi16(codes), wanted));
                }
            }
            let [a, b, c, d] = sums;
            // Adds neighbours twice, which leaves each row's sum in two halves.
            let halves = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
            let sums = _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256::<1>(halves));
            let mut products = [0i32; GROUP];
            // SAFETY: the array is as large as the register.
            unsafe { _mm_storeu_si128(products.as_mut_ptr().cast(), sums) };
            each(group * GROUP, products);
        }
    }
}

/// Sums side by side: as many as eight vector registers of four hold.
const WIDTH: usize = 32;

pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |a, b| a * b)
}

pub fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    sum(a, b, |a, b| (a - b) * (a - b))
}

#[inline(always)]
fn sum(a: &[f32], b: &[f32], term: impl Fn(f32, f32) -> f32) -> f32 {
    let mut sums = [0.0f32; WIDTH];
    let (a_chunks, b_chunks) = (a.chunks_exact(WIDTH), b.chunks_exact(WIDTH));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| term(*a, *b)).sum::<f32>();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..WIDTH {
            sums[lane] += term(a[lane], b[lane]);
        }
    }
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    use super::*;

    #[test]
    fn both_ways_give_the_same_products() {
        let mut rng = StdRng::seed_from_u64(1);
        for length in [32, 64, 128, 160, 1024] {
            let rows: Vec<i8> = (0..12 * length).map(|_| rng.random_range(-127..=127)).collect();
            let probe: Vec<i16> = (0..length).map(|_| rng.random_range(-16_000..=16_000)).collect();
            let (mut one, mut other) = (Vec::new(), Vec::new());
            scan(&rows, &probe, |row, products| one.push((row, products)));
            plain_scan(&rows, &probe, |row, products| other.push((row, products)));
            assert_eq!(one, other);
            assert_eq!(one.iter().map(|(row, _)| *row).collect::<Vec<_>>(), [0, 4, 8]);
        }
    }

    #[test]
    fn a_dot_product_is_the_sum_of_products() {
        for length in [0, 1, 31, 32, 33, 100] {
            let a: Vec<f32> = (0..length).map(|n| n as f32).collect();
            let b: Vec<f32> = (0..length).map(|n| (n % 3) as f32).collect();
            let slow: f32 = a.iter().zip(&b).map(|(a, b)| a * b).sum();
            assert_eq!(dot(&a, &b), slow);
        }
    }
}
