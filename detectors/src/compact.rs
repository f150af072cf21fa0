//! Saved forms that take little room: times by what lies between them, and amounts that are whole as whole numbers. Not for what they mean.

use std::cell::Cell;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::event::Millis;

/// A list in the order of time, each entry with what lies between it and the one before.
pub(crate) fn in_order<'t, S: Serializer, T: 't, P: Serialize>(
    entries: impl IntoIterator<Item = &'t T>,
    part: impl Fn(&'t T) -> (Millis, P),
    out: S,
) -> Result<S::Ok, S::Error> {
    let before = Cell::new(0);
    out.collect_seq(entries.into_iter().map(|entry| {
        let (time, part) = part(entry);
        (time.wrapping_sub(before.replace(time)), part)
    }))
}

/// Such a list read back.
pub(crate) fn from_order<'de, D: Deserializer<'de>, T, C: FromIterator<T>, P: Deserialize<'de>>(
    input: D,
    whole: impl Fn(Millis, P) -> T,
) -> Result<C, D::Error> {
    let mut time: Millis = 0;
    let entries = Vec::<(Millis, P)>::deserialize(input)?;
    Ok(entries
        .into_iter()
        .map(|(after, part)| {
            time = time.wrapping_add(after);
            whole(time, part)
        })
        .collect())
}

/// An amount, mostly a whole number of records.
#[derive(Serialize, Deserialize)]
pub(crate) enum Amount {
    Whole(u32),
    Broken(f64),
}

impl From<f64> for Amount {
    fn from(amount: f64) -> Amount {
        let whole = amount as u32;
        if f64::from(whole).to_bits() == amount.to_bits() { Amount::Whole(whole) } else { Amount::Broken(amount) }
    }
}

impl From<Amount> for f64 {
    fn from(amount: Amount) -> f64 {
        match amount {
            Amount::Whole(amount) => f64::from(amount),
            Amount::Broken(amount) => amount,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_amount_comes_back_to_the_last_bit() {
        for amount in [0.0, -0.0, 1.0, 0.2, 4_294_967_295.0, 4_294_967_296.0, 1e300, -3.0] {
            let saved = postcard::to_allocvec(&Amount::from(amount)).expect("memory");
            let back: f64 = postcard::from_bytes::<Amount>(&saved).expect("readable").into();
            assert_eq!(back.to_bits(), f64::to_bits(amount));
        }
    }
}
