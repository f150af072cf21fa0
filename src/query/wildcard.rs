//! Patterns with `*` (any characters) and `?` (one character). Matching takes time in proportion to pattern times text at worst,
//! never more. Not for regular expressions; there are none in the query language.

/// A pattern, taken apart.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wildcard {
    pieces: Vec<Piece>,
}

/// One piece of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece {
    /// That character.
    One(char),
    /// `?`
    Any,
    /// `*`
    Run,
}

impl Wildcard {
    /// From pieces; neighbouring stars are one.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Wildcard {
        let mut kept: Vec<Piece> = pieces.into_iter().collect();
        kept.dedup_by(|next, before| *next == Piece::Run && *before == Piece::Run);
        Wildcard { pieces: kept }
    }

    /// Its pieces.
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// How many stars it has.
    pub fn runs(&self) -> usize {
        self.pieces.iter().filter(|piece| **piece == Piece::Run).count()
    }

    /// Whether it starts with a wildcard, so that an index must look at every term.
    pub fn is_leading(&self) -> bool {
        !matches!(self.pieces.first(), Some(Piece::One(_)))
    }

    /// Whether it is a star and nothing else.
    pub fn is_all(&self) -> bool {
        self.pieces == [Piece::Run]
    }

    /// The same in lower case.
    pub fn lower(&self) -> Wildcard {
        let mut pieces = Vec::with_capacity(self.pieces.len());
        for piece in &self.pieces {
            match piece {
                Piece::One(one) => pieces.extend(one.to_lowercase().map(Piece::One)),
                other => pieces.push(*other),
            }
        }
        Wildcard { pieces }
    }

    /// What every match starts with.
    pub fn prefix(&self) -> String {
        let literal = self.pieces.iter().map_while(|piece| match piece {
            Piece::One(one) => Some(*one),
            _ => None,
        });
        literal.collect()
    }

    /// Whether the whole text matches.
    pub fn matches(&self, text: &str) -> bool {
        let (mut at, mut piece) = (0, 0);
        // Where to go on from when the pieces after the last star do not fit: one character later.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            let next = text[at..].chars().next();
            match (self.pieces.get(piece), next) {
                (Some(Piece::Run), _) => {
                    piece += 1;
                    retry = Some((piece, at));
                    continue;
                }
                (Some(Piece::Any), Some(one)) => {
                    at += one.len_utf8();
                    piece += 1;
                    continue;
                }
                (Some(Piece::One(wanted)), Some(one)) if *wanted == one => {
                    at += one.len_utf8();
                    piece += 1;
                    continue;
                }
                (None, None) => return true,
                _ => {}
            }
            let Some((after, from)) = retry else { return false };
            let Some(one) = text[from..].chars().next() else { return false };
            at = from + one.len_utf8();
            piece = after;
            retry = Some((after, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> Wildcard {
        Wildcard::new(text.chars().map(|one| match one {
            '*' => Piece::Run,
            '?' => Piece::Any,
            one => Piece::One(one),
        }))
    }

    #[test]
    fn patterns_match_whole_texts() {
        for (text, yes, no) in [
            ("a*", "alice", "bob"),
            ("*ice", "alice", "alices"),
            ("a?c", "a导c", "abbc"),
            ("*a*b*", "xxaxxbxx", "xxbxxa"),
            ("**", "", "never"),
            ("?", "é", ""),
        ] {
            assert!(pattern(text).matches(yes), "{text} {yes}");
            assert!(no == "never" || !pattern(text).matches(no), "{text} {no}");
        }
    }

    #[test]
    fn a_hostile_pattern_stays_cheap() {
        let text = "a".repeat(8_000);
        assert!(!pattern(&"*a".repeat(8)).matches(&format!("{text}b")));
    }
}
