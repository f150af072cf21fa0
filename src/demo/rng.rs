//! The simulation's own source of chance: small, seeded, the same on every machine. Not for anything that must be secret.

/// SplitMix64 (Steele, Lea, Flood 2014): one addition and two multiplications a draw, any seed is a good one.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    /// A stream for one purpose: the same seed and the same parts give the same stream.
    pub fn of(seed: u64, parts: &[u64]) -> Rng {
        let mut rng = Rng(seed ^ 0x5851_f42d_4c95_7f2d);
        for part in parts {
            rng.0 = rng.next() ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        }
        rng.next();
        rng
    }

    /// 64 bits.
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 where the limit is 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        // The multiplication's bias is below 2^-32 for the limits used here.
        ((u128::from(self.next()) * u128::from(limit)) >> 64) as u64
    }

    /// A number from `from` up to and with `to`.
    pub fn between(&mut self, from: i64, to: i64) -> i64 {
        from + self.below((to - from + 1).max(1) as u64) as i64
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True so often.
    pub fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// One of them.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len() as u64) as usize]
    }

    /// Standard normal (Irwin-Hall with twelve draws is near enough and the same on every processor).
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Heavy-tailed around a median.
    pub fn lognormal(&mut self, median: f64, sigma: f64) -> f64 {
        median * (sigma * self.normal()).exp()
    }

    /// Milliseconds between two clicks of a person: about this many seconds, sometimes much longer.
    pub fn pause(&mut self, seconds: f64) -> i64 {
        (self.lognormal(seconds, 0.9).clamp(0.4, 1500.0) * 1000.0) as i64
    }

    /// Shuffles the first `count` to the front.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for at in (1..items.len()).rev() {
            items.swap(at, self.below(at as u64 + 1) as usize);
        }
    }
}

/// A GUID made of one number; not random, only unlike others.
pub fn guid(seed: u64) -> Guid {
    let mut rng = Rng::of(seed, &[0x6775_6964]);
    Guid(rng.next(), rng.next())
}

/// Shown as 8-4-4-4-12.
#[derive(Debug, Clone, Copy)]
pub struct Guid(u64, u64);

impl std::fmt::Display for Guid {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (high, low) = (self.0, self.1);
        write!(
            to,
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0xfff,
            0x8000 | (low >> 50),
            low & 0xffff_ffff_ffff
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_depends_on_seed_and_purpose_only() {
        let draw = |seed, parts: &[u64]| Rng::of(seed, parts).next();
        assert_eq!(draw(1, &[2, 3]), draw(1, &[2, 3]));
        assert_ne!(draw(1, &[2, 3]), draw(1, &[3, 2]));
        assert_ne!(draw(1, &[2]), draw(2, &[2]));
    }

    #[test]
    fn draws_keep_their_bounds() {
        let mut rng = Rng::of(7, &[]);
        for _ in 0..10_000 {
            assert!((-3..=3).contains(&rng.between(-3, 3)));
            assert!((0.0..1.0).contains(&rng.unit()));
        }
        let mean = (0..10_000).map(|_| rng.normal()).sum::<f64>() / 10_000.0;
        assert!(mean.abs() < 0.05, "{mean}");
    }
}
