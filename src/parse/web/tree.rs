//! The patterns of many paths as one tree of segments, walked once per request: the number of patterns costs nothing.
//! Not for what a rule asks of method, status and query (`table`).

use std::collections::HashMap;

use super::pattern::Segment;
use super::table::Rule;
use super::{MAX_SEGMENTS, Request};

/// Of several rules for one path the least is taken.
pub(super) type Number = u32;

/// A CRM is mounted at most this many segments deep.
const MOUNT_DEPTH: usize = 4;
const ANCHORED: u32 = 0;
const FLOATING: u32 = 1;

#[derive(Debug)]
pub(super) struct Tree {
    nodes: Vec<Node>,
    words: Words,
    /// For each word of the tables where it leads: from a node to the next, in the order of nodes.
    edges: Vec<Vec<(u32, u32)>>,
}

#[derive(Debug, Default)]
struct Node {
    patterns: Vec<(Segment, u32)>,
    /// Rules whose path ends here, least first.
    ends: Vec<Number>,
    /// Rules that take any rest.
    opens: Vec<Number>,
}

/// A word of the rules.
type Word = u32;
/// What stands in no rule.
const NO_WORD: Word = Word::MAX;

/// The words of the rules by number, so that each segment of a path is hashed once, and most not at all.
#[derive(Debug)]
struct Words {
    numbers: HashMap<Box<str>, Word, ahash::RandomState>,
    /// By first byte: bit `n` says that a word of `n` bytes begins so; the last bit stands for all longer ones.
    lengths: [u64; 256],
}

impl Default for Words {
    fn default() -> Words {
        Words { numbers: HashMap::default(), lengths: [0; 256] }
    }
}

impl Words {
    fn number(&mut self, word: &str) -> Word {
        let first = word.as_bytes().first().copied().unwrap_or_default();
        self.lengths[usize::from(first)] |= 1 << word.len().min(63);
        let next = self.numbers.len() as Word;
        *self.numbers.entry(word.into()).or_insert(next)
    }

    fn find(&self, segment: &str) -> Word {
        let first = segment.as_bytes().first().copied().unwrap_or_default();
        if self.lengths[usize::from(first)] & 1 << segment.len().min(63) == 0 {
            return NO_WORD;
        }
        self.numbers.get(segment).copied().unwrap_or(NO_WORD)
    }
}

impl Tree {
    pub fn of<'r>(rules: impl Iterator<Item = (Number, &'r Rule)>) -> Tree {
        let mut tree =
            Tree { nodes: vec![Node::default(), Node::default()], words: Words::default(), edges: Vec::new() };
        for (number, rule) in rules {
            let mut ends = vec![if rule.floating { FLOATING } else { ANCHORED }];
            for segment in &rule.segments {
                ends = ends.iter().flat_map(|node| tree.grow(*node, segment)).collect();
            }
            for end in ends {
                let node = &mut tree.nodes[end as usize];
                if rule.open { &mut node.opens } else { &mut node.ends }.push(number);
            }
        }
        tree
    }

    /// The nodes behind a segment; one for each word where it is one of several.
    fn grow(&mut self, node: u32, segment: &Segment) -> Vec<u32> {
        let one_of: &[Box<str>] = match segment {
            Segment::Word(word) => std::slice::from_ref(word),
            Segment::OneOf(words, _) => words,
            other => {
                let known = self.nodes[node as usize].patterns.iter().find(|(known, _)| known == other);
                if let Some((_, next)) = known {
                    return vec![*next];
                }
                let next = self.node();
                self.nodes[node as usize].patterns.push((other.clone(), next));
                return vec![next];
            }
        };
        one_of.iter().map(|word| self.follow(node, word)).collect()
    }

    fn follow(&mut self, node: u32, word: &str) -> u32 {
        let word = self.words.number(word);
        if self.edges.len() <= word as usize {
            self.edges.resize_with(word as usize + 1, Vec::new);
        }
        match self.edges[word as usize].binary_search_by_key(&node, |(from, _)| *from) {
            Ok(at) => self.edges[word as usize][at].1,
            Err(at) => {
                let next = self.node();
                self.edges[word as usize].insert(at, (node, next));
                next
            }
        }
    }

    fn node(&mut self) -> u32 {
        self.nodes.push(Node::default());
        self.nodes.len() as u32 - 1
    }

    /// The rule a request is of.
    pub fn find(&self, rules: &[Rule], request: &Request<'_>) -> Option<Number> {
        let mut words = [NO_WORD; MAX_SEGMENTS];
        for (word, segment) in words.iter_mut().zip(request.segments) {
            *word = self.words.find(segment);
        }
        let mut search = Search { tree: self, rules, request, words, best: Number::MAX };
        search.walk(ANCHORED, 0);
        for start in 0..=request.segments.len().min(MOUNT_DEPTH) {
            search.walk(FLOATING, start);
        }
        (search.best != Number::MAX).then_some(search.best)
    }
}

struct Search<'s, 'r> {
    tree: &'s Tree,
    rules: &'s [Rule],
    request: &'s Request<'r>,
    /// The segments' numbers among the rules' words.
    words: [Word; MAX_SEGMENTS],
    best: Number,
}

impl Search<'_, '_> {
    fn walk(&mut self, from: u32, at: usize) {
        let node = &self.tree.nodes[from as usize];
        self.take(&node.opens);
        let Some(segment) = self.request.segments.get(at) else {
            if !self.request.longer {
                self.take(&node.ends);
            }
            return;
        };
        // The root's edges are many, so those of the word are asked; `NO_WORD` has none.
        if let Some(edges) = self.tree.edges.get(self.words[at] as usize)
            && let Ok(found) = edges.binary_search_by_key(&from, |(from, _)| *from)
        {
            self.walk(edges[found].1, at + 1);
        }
        for (pattern, next) in &node.patterns {
            if pattern.accepts(segment) {
                self.walk(*next, at + 1);
            }
        }
    }

    fn take(&mut self, candidates: &[Number]) {
        for number in candidates {
            if *number >= self.best {
                return;
            }
            if self.rules[*number as usize].accepts(self.request) {
                self.best = *number;
                return;
            }
        }
    }
}
