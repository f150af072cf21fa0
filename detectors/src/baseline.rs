//! What is normal: amounts by a log-normal with forgetting and a prior, counts by a negative binomial, a group's spread by a histogram
//! of logarithms, and when something was first seen. Not for what is summed (`window`) nor for deciding (the detectors).

use serde::{Deserialize, Serialize};

/// The same in every process, so that it may be saved; eight bytes at a step, since every event is hashed. Not for keys an attacker could collide
/// to his gain.
pub fn stable_hash(text: &str) -> u32 {
    mix(0xcbf2_9ce4_8422_2325 ^ text.len() as u64, text.as_bytes())
}

/// Goes on from a beginning.
pub(crate) fn mix(beginning: u64, bytes: &[u8]) -> u32 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(ODD);
    let mut words = bytes.chunks_exact(8);
    let mut hash = beginning;
    for word in &mut words {
        hash = step(hash, u64::from_le_bytes(word.try_into().expect("eight bytes")));
    }
    let rest = words.remainder().iter().rev().fold(0, |word, byte| (word << 8) | u64::from(*byte));
    hash = step(hash, rest);
    hash ^= hash >> 29;
    (hash.wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32) as u32
}

/// What remains of a weight after `age` when half is forgotten in `half_life`.
pub fn remaining(age: f64, half_life: f64) -> f64 {
    (-age.max(0.0) / half_life).exp2()
}

/// Natural logarithm of the gamma function (Lanczos, g = 7), for positive arguments.
pub fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (std::f64::consts::PI / (std::f64::consts::PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let sum = C.iter().enumerate().skip(1).fold(C[0], |sum, (index, c)| sum + c / (x + index as f64));
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// Regularised incomplete beta function I_x(a, b), by Lentz's continued fraction.
pub fn incomplete_beta(a: f64, b: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - incomplete_beta(b, a, 1.0 - x);
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (1.0 - x).ln()).exp() / a;
    let guard = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for step in 1..300 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        fraction *= d * c;
        if (d * c - 1.0).abs() < 1e-12 {
            break;
        }
    }
    (front * fraction).clamp(0.0, 1.0)
}

/// P(T >= t) of Student's t.
pub fn student_tail(t: f64, freedom: f64) -> f64 {
    let half = 0.5 * incomplete_beta(freedom / 2.0, 0.5, freedom / (freedom + t * t));
    if t >= 0.0 { half } else { 1.0 - half }
}

/// P(X >= k) of the negative binomial with size `r` and success probability `p`.
pub fn negative_binomial_tail(k: f64, r: f64, p: f64) -> f64 {
    if k <= 0.0 { 1.0 } else { incomplete_beta(k, r, 1.0 - p) }
}

/// How surprising a probability is: its negative decimal logarithm, up to `cap`.
pub fn surprise(probability: f64, cap: f64) -> f64 {
    (-probability.max(1e-300).log10()).clamp(0.0, cap)
}

/// The spread of logarithms a new entity is measured against.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// Mean of ln(1 + amount).
    pub mean: f64,
    /// Its standard deviation.
    pub deviation: f64,
    /// How many observations stand behind it.
    pub weight: f64,
}

impl Spread {
    /// Degrees of freedom of a judgement against it.
    pub fn freedom(&self) -> f64 {
        (self.weight - 1.0).max(4.0)
    }

    /// P(an amount at least this large).
    pub fn tail(&self, amount: f64) -> f64 {
        student_tail((amount.max(0.0).ln_1p() - self.mean) / self.deviation, self.freedom())
    }

    /// The amount that 99 of 100 stay below.
    pub fn usual_most(&self) -> f64 {
        (self.mean + 2.33 * self.deviation).min(30.0).exp_m1()
    }
}

/// Amounts of closed windows, as logarithms, with forgetting.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LogNormal {
    weight: f64,
    mean: f64,
    variance: f64,
    last: u32,
}

/// The least deviation of logarithms: below it, differences are noise.
const LEAST_DEVIATION: f64 = 0.35;
/// How many own observations a prior weighs as much as.
const PRIOR_WEIGHT: f64 = 5.0;
/// How much a prior may add to the degrees of freedom.
const PRIOR_FREEDOM: f64 = 25.0;

impl LogNormal {
    /// Learns the amount of a window closed at `hour`, forgetting half in `half_life` hours.
    pub fn learn(&mut self, amount: f64, hour: u32, half_life: f64) {
        if self.weight > 0.0 {
            self.weight *= remaining(f64::from(hour.saturating_sub(self.last)), half_life);
        }
        self.last = self.last.max(hour);
        let y = amount.max(0.0).ln_1p();
        let weight = self.weight + 1.0;
        let step = (y - self.mean) / weight;
        self.variance = (self.variance * self.weight + (y - self.mean) * (y - self.mean - step)) / weight;
        self.mean += step;
        self.weight = weight;
    }

    /// Observations behind it, those forgotten left out.
    pub fn weight(&self) -> f64 {
        self.weight
    }

    /// What is normal after own observations, starting from a prior.
    pub fn given(&self, prior: &Spread) -> Spread {
        let (n, k) = (self.weight, PRIOR_WEIGHT);
        let variance = (n * self.variance + k * prior.deviation.powi(2)) / (n + k);
        Spread {
            mean: (n * self.mean + k * prior.mean) / (n + k),
            deviation: variance.sqrt().max(LEAST_DEVIATION),
            weight: n + prior.weight.min(PRIOR_FREEDOM),
        }
    }
}

/// Counts per active window: gamma prior on a Poisson rate, with forgetting.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    sum: f64,
    windows: f64,
    last: u32,
}

impl Counts {
    /// Learns the count of a window closed at `hour`.
    pub fn learn(&mut self, count: f64, hour: u32, half_life: f64) {
        let kept = remaining(f64::from(hour.saturating_sub(self.last)), half_life);
        self.last = self.last.max(hour);
        self.sum = self.sum * kept + count;
        self.windows = self.windows * kept + 1.0;
    }

    /// Counts per window, if any was seen.
    pub fn mean(&self) -> Option<f64> {
        (self.windows > 0.0).then(|| self.sum / self.windows)
    }

    /// P(a window has at least `count`), where `prior_mean` is what one window of others has.
    pub fn tail(&self, count: f64, prior_mean: f64) -> f64 {
        let (a, b) = (1.0 + self.sum, 1.0 / prior_mean.max(0.1) + self.windows);
        negative_binomial_tail(count, a, b / (b + 1.0))
    }
}

const STEPS_PER_E: f64 = 4.0;
const STEPS: usize = 72;

/// A group's amounts as a histogram of logarithms (within a quarter of an e-fold, 28 per cent), up to 65 million.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    counts: Vec<u32>,
}

impl Histogram {
    fn step(amount: f64) -> usize {
        ((amount.max(0.0).ln_1p() * STEPS_PER_E) as usize).min(STEPS - 1)
    }

    /// Counts one amount; when the counts grow large all are halved, which forgets the old.
    pub fn learn(&mut self, amount: f64) {
        let step = Histogram::step(amount);
        if self.counts.len() <= step {
            self.counts.resize(step + 1, 0);
        }
        self.counts[step] += 1;
        if self.total() > 20_000 {
            self.counts.iter_mut().for_each(|count| *count /= 2);
        }
    }

    /// How many were counted.
    pub fn total(&self) -> u64 {
        self.counts.iter().map(|count| u64::from(*count)).sum()
    }

    /// The share of counted amounts at least about as large as this one; as if one had been, where none was.
    pub fn rarity(&self, amount: f64) -> f64 {
        (1.0 - self.share_below(amount)).max(1.0 / (self.total() as f64 + 1.0))
    }

    /// How many of the counted amounts are at least about as large as this one.
    pub fn reached(&self, amount: f64) -> u64 {
        self.counts.iter().skip(Histogram::step(amount)).map(|count| u64::from(*count)).sum()
    }

    /// The share of counted amounts clearly below this one.
    pub fn share_below(&self, amount: f64) -> f64 {
        let total = self.total();
        if total == 0 {
            return 0.0;
        }
        let below: u64 = self.counts.iter().take(Histogram::step(amount)).map(|count| u64::from(*count)).sum();
        below as f64 / total as f64
    }
}

/// When each of a few things was first and last seen, in seconds; the one longest unseen goes when there are too many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Firsts<T> {
    seen: Vec<(T, u32, u32)>,
}

impl<T> Default for Firsts<T> {
    fn default() -> Self {
        Firsts { seen: Vec::new() }
    }
}

impl<T: Copy + Ord> Firsts<T> {
    /// Notes a sighting; at most `room` things are kept.
    pub fn note(&mut self, thing: T, time: u32, room: usize) {
        if let Some((_, first, last)) = self.seen.iter_mut().find(|(known, ..)| *known == thing) {
            *first = (*first).min(time);
            *last = (*last).max(time);
            return;
        }
        if self.seen.len() >= room
            && let Some(oldest) = (0..self.seen.len()).min_by_key(|index| (self.seen[*index].2, self.seen[*index].0))
        {
            self.seen.remove(oldest);
        }
        self.seen.push((thing, time, time));
    }

    /// Whether it was first seen at least `ripe` seconds before `time`: what began just now is still new.
    pub fn known(&self, thing: T, time: u32, ripe: u32) -> bool {
        self.seen.iter().any(|(known, first, _)| *known == thing && first.saturating_add(ripe) <= time)
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.seen.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.seen.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(left: f64, right: f64) -> bool {
        (left - right).abs() <= 1e-6 * right.abs().max(1e-3)
    }

    #[test]
    fn special_functions_agree_with_the_tables() {
        assert!(close(ln_gamma(5.0), 24f64.ln()));
        assert!(close(ln_gamma(0.5), std::f64::consts::PI.sqrt().ln()));
        assert!(close(incomplete_beta(2.0, 3.0, 0.4), 0.5248));
        assert!(close(student_tail(2.228_138_85, 10.0), 0.025));
        assert!(close(student_tail(-1.0, 1.0), 0.75));
        // Geometric: P(X >= k) = (1 - p)^k.
        assert!(close(negative_binomial_tail(4.0, 1.0, 0.25), 0.75f64.powi(4)));
    }

    #[test]
    fn own_history_outweighs_the_prior_as_it_grows() {
        let prior = Spread { mean: 8.0, deviation: 1.0, weight: 100.0 };
        let mut own = LogNormal::default();
        assert_eq!(own.given(&prior).mean, 8.0);
        for day in 0..30 {
            own.learn(50.0, day * 24, 720.0);
        }
        let normal = own.given(&prior);
        assert!(normal.mean < 5.0 && normal.deviation < 0.7, "{normal:?}");
        assert!(normal.tail(5_000.0) < 1e-5);
        assert!(normal.tail(60.0) > 0.1);
    }

    #[test]
    fn what_is_long_ago_weighs_little() {
        let mut own = LogNormal::default();
        (0..30).for_each(|day| own.learn(50_000.0, day * 24, 240.0));
        (0..10).for_each(|day| own.learn(50.0, 5_000 + day * 24, 240.0));
        assert!(own.given(&Spread { mean: 4.0, deviation: 1.0, weight: 0.0 }).mean < 5.0);
    }

    #[test]
    fn many_more_actions_than_ever_are_improbable() {
        let mut counts = Counts::default();
        (0..20).for_each(|day| counts.learn(2.0, day * 24, 720.0));
        assert!(counts.tail(2.0, 3.0) > 0.3);
        assert!(counts.tail(40.0, 3.0) < 1e-6);
        assert!(Counts::default().tail(3.0, 3.0) > 0.1);
    }

    #[test]
    fn the_place_in_a_group_is_known_from_its_histogram() {
        let mut group = Histogram::default();
        (1..=1_000).for_each(|amount| group.learn(f64::from(amount)));
        assert!(group.share_below(20_000.0) > 0.999);
        assert!(group.share_below(10.0) < 0.02);
        assert_eq!(Histogram::default().share_below(5.0), 0.0);
        assert_eq!(Histogram::default().rarity(5.0), 1.0);
        assert!((group.rarity(1e6) - 1.0 / 1_001.0).abs() < 1e-12);
        (0..30_000).for_each(|_| group.learn(5.0));
        assert!(group.total() <= 20_001);
    }

    #[test]
    fn what_began_just_now_is_still_new() {
        let mut firsts = Firsts::default();
        firsts.note(7, 1_000, 2);
        assert!(!firsts.known(7, 2_000, 86_400));
        assert!(firsts.known(7, 90_000, 86_400));
        firsts.note(8, 2_000, 2);
        firsts.note(9, 3_000, 2);
        assert!(!firsts.known(7, 90_000, 86_400));
        assert_eq!(firsts.len(), 2);
    }
}
