//! Who of many entries goes first: those of lowest class, of these those longest without activity, of these by key. Kept beside the entries
//! and close together, so that finding those to go reads no entry that has not changed since the last time. Not for what an entry is
//! (`keyed`).

use crate::event::Millis;
use crate::slab::Slab;

/// What stands somewhere: its class, and when it was last active.
pub(crate) trait Ranked {
    fn standing(&self) -> (u8, Millis);
}

/// No entry of that number.
const NOBODY: (u8, Millis) = (u8::MAX, Millis::MAX);

/// Nothing is noted before the first time somebody must go: most maps never get full.
#[derive(Default)]
pub(crate) struct Standings {
    at: Vec<(u8, Millis)>,
    /// One bit each: to be looked at again.
    stale: Vec<u64>,
}

impl Standings {
    /// An entry has come or changed.
    pub(crate) fn changed(&mut self, at: u32) {
        let (word, bit) = (at as usize / 64, at % 64);
        if let Some(word) = self.stale.get_mut(word) {
            *word |= 1 << bit;
        } else if !self.stale.is_empty() {
            self.stale.resize(word + 1, 0);
            self.stale[word] |= 1 << bit;
        }
    }

    /// An entry is gone.
    pub(crate) fn left(&mut self, at: u32) {
        if let Some(standing) = self.at.get_mut(at as usize) {
            *standing = NOBODY;
        }
    }

    /// The first `many` to go. Which they are is decided by the whole order; the order among them is any.
    pub(crate) fn first<'e, T: Ranked>(
        &mut self,
        many: usize,
        entries: &'e Slab<T>,
        key: impl Fn(u32) -> &'e str,
    ) -> Vec<u32> {
        self.look_again(entries);
        let mut of_class = [0usize; 256];
        self.at.iter().for_each(|(class, _)| of_class[usize::from(*class)] += 1);
        let mut left = many;
        let last_class = of_class.iter().position(|here| match left.checked_sub(*here) {
            Some(rest) => {
                left = rest;
                false
            }
            None => true,
        });
        let last_class = last_class.unwrap_or(usize::from(NOBODY.0));
        let mut gone = Vec::with_capacity(many);
        let mut some: Vec<(Millis, u32)> = Vec::with_capacity(of_class[last_class]);
        for (at, (class, last)) in self.at.iter().enumerate() {
            match usize::from(*class).cmp(&last_class) {
                std::cmp::Ordering::Less => gone.push(at as u32),
                std::cmp::Ordering::Equal => some.push((*last, at as u32)),
                std::cmp::Ordering::Greater => {}
            }
        }
        if left > 0 && left < some.len() {
            some.select_nth_unstable_by(left, |one, other| {
                one.0.cmp(&other.0).then_with(|| key(one.1).cmp(key(other.1)))
            });
        }
        gone.extend(some.into_iter().take(left).map(|(_, at)| at));
        gone
    }

    fn look_again<T: Ranked>(&mut self, entries: &Slab<T>) {
        if self.stale.is_empty() {
            self.stale = vec![u64::MAX; entries.room().div_ceil(64)];
        }
        self.at.resize(self.at.len().max(self.stale.len() * 64), NOBODY);
        for (nth, word) in self.stale.iter_mut().enumerate() {
            let mut bits = std::mem::take(word);
            while bits != 0 {
                let at = nth * 64 + bits.trailing_zeros() as usize;
                self.at[at] = entries.get(at as u32).map_or(NOBODY, Ranked::standing);
                bits &= bits - 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone)]
    struct One(u8, Millis, String);

    impl Ranked for One {
        fn standing(&self) -> (u8, Millis) {
            (self.0, self.1)
        }
    }

    proptest! {
        #[test]
        fn those_to_go_are_the_first_of_the_whole_order_whatever_came_changed_and_went(
            steps in prop::collection::vec((0u8..5, 0u8..4, 0i64..20, 0u32..200), 1..400),
        ) {
            let mut slab: Slab<One> = Slab::default();
            let mut standings = Standings::default();
            for (nth, (what, class, last, which)) in steps.into_iter().enumerate() {
                match what {
                    0 | 1 => {
                        let at = slab.insert(One(class, last, format!("{nth}")));
                        standings.changed(at);
                    }
                    2 => if let Some(one) = slab.get_mut(which) {
                        (one.0, one.1) = (class, last);
                        standings.changed(which);
                    },
                    3 => if slab.remove(which).is_some() {
                        standings.left(which);
                    },
                    _ => {
                        let many = (which as usize / 8).min(slab.iter().count());
                        let mut order: Vec<(u8, Millis, String, u32)> =
                            slab.iter().map(|(at, one)| (one.0, one.1, one.2.clone(), at)).collect();
                        order.sort();
                        let mut wanted: Vec<u32> = order.into_iter().take(many).map(|one| one.3).collect();
                        let key = |at: u32| slab.get(at).map_or("", |one| one.2.as_str());
                        let mut first = standings.first(many, &slab, key);
                        wanted.sort_unstable();
                        first.sort_unstable();
                        prop_assert_eq!(&first, &wanted);
                        for at in first {
                            slab.remove(at);
                            standings.left(at);
                        }
                    }
                }
            }
        }
    }
}
