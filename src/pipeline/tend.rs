//! Keeps a stage going that must not end in silence: one that ends by a defect is begun anew. Not for faults of disk or ledger, which a
//! stage lives through itself.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Runs a stage until it ends as told. After a panic `fell` is told, and `again` gives the next one; nothing from it ends the tending.
pub(super) fn tend<S>(first: S, run: impl Fn(S), mut fell: impl FnMut(), mut again: impl FnMut() -> Option<S>) {
    let mut stage = Some(first);
    while let Some(one) = stage.take() {
        if catch_unwind(AssertUnwindSafe(|| run(one))).is_ok() {
            return;
        }
        fell();
        stage = again();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stage_that_panics_is_told_of_and_begun_anew_until_it_ends_as_it_should() {
        let (mut falls, mut made) = (0, 0);
        let again = || {
            made += 1;
            Some(made)
        };
        tend(0, |number| assert!(number == 3, "a defect, as wanted here"), || falls += 1, again);
        assert_eq!((falls, made), (3, 3));
    }

    #[test]
    fn it_ends_where_no_other_stage_is_wanted() {
        let mut falls = 0;
        tend((), |()| panic!("a defect, as wanted here"), || falls += 1, || None);
        assert_eq!(falls, 1);
    }
}
