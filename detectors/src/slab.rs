//! Things that lie where they were put, by number. In pieces, so that growing moves nothing and takes no more room than it needs.
//! Not for finding them (`keyed`).

const PIECE: usize = 256;

/// The things.
pub(crate) struct Slab<T> {
    pieces: Vec<Vec<Option<T>>>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Slab { pieces: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    /// Puts one in; its number.
    pub(crate) fn insert(&mut self, thing: T) -> u32 {
        if let Some(at) = self.free.pop() {
            self.pieces[at as usize / PIECE][at as usize % PIECE] = Some(thing);
            return at;
        }
        if self.pieces.last().is_none_or(|piece| piece.len() == PIECE) {
            // The first grows as it is filled: most maps are small.
            self.pieces.push(if self.pieces.is_empty() { Vec::new() } else { Vec::with_capacity(PIECE) });
        }
        let piece = self.pieces.len() - 1;
        self.pieces[piece].push(Some(thing));
        (piece * PIECE + self.pieces[piece].len() - 1) as u32
    }

    pub(crate) fn get(&self, at: u32) -> Option<&T> {
        self.pieces.get(at as usize / PIECE)?.get(at as usize % PIECE)?.as_ref()
    }

    pub(crate) fn get_mut(&mut self, at: u32) -> Option<&mut T> {
        self.pieces.get_mut(at as usize / PIECE)?.get_mut(at as usize % PIECE)?.as_mut()
    }

    /// Takes one out; its number may be given again.
    pub(crate) fn remove(&mut self, at: u32) -> Option<T> {
        let thing = self.pieces.get_mut(at as usize / PIECE)?.get_mut(at as usize % PIECE)?.take();
        self.free.extend(thing.is_some().then_some(at));
        thing
    }

    /// No number given so far is as high.
    pub(crate) fn room(&self) -> usize {
        self.pieces.last().map_or(0, |last| (self.pieces.len() - 1) * PIECE + last.len())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u32, &T)> {
        let all = self.pieces.iter().flatten().enumerate();
        all.filter_map(|(at, thing)| Some((at as u32, thing.as_ref()?)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_in_is_found_by_its_number_until_it_is_taken_out() {
        let mut slab = Slab::default();
        let numbers: Vec<u32> = (0..1_000).map(|thing| slab.insert(thing)).collect();
        assert!(numbers.iter().enumerate().all(|(thing, at)| slab.get(*at) == Some(&thing)));
        assert_eq!(slab.remove(numbers[300]), Some(300));
        assert_eq!(slab.remove(numbers[300]), None);
        assert_eq!((slab.get(numbers[300]), slab.get(5_000)), (None, None));
        assert_eq!(slab.insert(7), numbers[300]);
        assert_eq!(slab.iter().count(), 1_000);
    }
}
