//! How one segment of a path and one parameter of a query are written in a URL table, and what they take. Not for rules (`table`).

use crmwatch_detectors::Field;

/// Where a captured text goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Capture {
    Ignore,
    Field(Field),
    /// A list of ids: their number, and the id where it is one.
    Ids,
    /// The user it is done to.
    Target,
}

/// Which texts a segment with a capture takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Any,
    /// Holds a digit: that is what tells `/contacts/17` from `/contacts/new`.
    Id,
    /// A word without a dot: an object's name, no file's.
    Word,
}

/// One segment of a path's pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    Word(Box<str>),
    OneOf(Vec<Box<str>>, Capture),
    Shaped { prefix: Box<str>, shape: Shape, capture: Capture, suffix: Box<str> },
}

impl Segment {
    /// The part that is captured, if the segment is of this pattern.
    pub fn part<'s>(&self, segment: &'s str) -> Option<&'s str> {
        match self {
            Segment::Word(word) => (**word == *segment).then_some(segment),
            Segment::OneOf(words, _) => words.iter().any(|word| **word == *segment).then_some(segment),
            Segment::Shaped { prefix, shape, suffix, .. } => {
                if !may_fit(segment.as_bytes(), prefix.as_bytes(), suffix.as_bytes()) {
                    return None;
                }
                let part = segment.strip_prefix(&**prefix)?.strip_suffix(&**suffix)?;
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
                let fits = match shape {
                    Shape::Any => !part.is_empty() && part.len() <= 256,
                    Shape::Id => {
                        part.len() <= 64 && part.bytes().any(|byte| byte.is_ascii_digit()) && part.bytes().all(plain)
                    }
                    Shape::Word => {
                        part.len() <= 64
                            && part.bytes().all(plain)
                            && part.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
                    }
                };
                fits.then_some(part)
            }
        }
    }

    /// Whether the segment is of this pattern.
    pub fn accepts(&self, segment: &str) -> bool {
        self.part(segment).is_some()
    }

    /// Where its part goes.
    pub fn capture(&self) -> Capture {
        match self {
            Segment::Word(_) => Capture::Ignore,
            Segment::OneOf(_, capture) | Segment::Shaped { capture, .. } => *capture,
        }
    }
}

/// Whether the first and the last byte are those of a pattern; nearly every segment is refused here, before any text is compared.
fn may_fit(segment: &[u8], prefix: &[u8], suffix: &[u8]) -> bool {
    (prefix.is_empty() || segment.first() == prefix.first()) && (suffix.is_empty() || segment.last() == suffix.last())
}

/// What a parameter of the query must be.
#[derive(Debug)]
pub(super) enum Condition {
    OneOf(Vec<Box<str>>),
    Present,
    Absent,
    Captured(Capture),
    /// Captured if it is there.
    Perhaps(Capture),
}

const CAPTURES: [(&str, Capture, Shape); 11] = [
    ("id", Capture::Field(Field::ObjectId), Shape::Id),
    ("key", Capture::Field(Field::ObjectId), Shape::Any),
    ("type", Capture::Field(Field::ObjectType), Shape::Word),
    ("model", Capture::Field(Field::ObjectType), Shape::Any),
    ("ids", Capture::Ids, Shape::Any),
    ("name", Capture::Field(Field::ObjectName), Shape::Any),
    ("report", Capture::Field(Field::ReportId), Shape::Any),
    ("format", Capture::Field(Field::ExportFormat), Shape::Word),
    ("file", Capture::Field(Field::FileName), Shape::Any),
    ("search", Capture::Field(Field::Query), Shape::Any),
    ("user", Capture::Target, Shape::Any),
];

/// What is wrong, and what mends it.
pub(super) type Said = (String, String);

fn capture(name: &str) -> Result<(Capture, Shape), Said> {
    CAPTURES.iter().find(|(known, ..)| *known == name).map(|(_, capture, shape)| (*capture, *shape)).ok_or_else(|| {
        let names: Vec<_> = CAPTURES.iter().map(|(known, ..)| format!("{{{known}}}")).collect();
        (format!("there is no capture {{{name}}}"), format!("use one of {}", names.join(", ")))
    })
}

fn words(text: &str) -> Vec<Box<str>> {
    text.split('|').map(Into::into).collect()
}

/// Reads one segment.
pub(super) fn segment(text: &str) -> Result<Segment, Said> {
    if let Some(open) = text.find('{') {
        let Some(close) = text[open..].find('}').map(|at| open + at) else {
            return Err((format!("{text:?} has a brace that never closes"), "write {id}".to_owned()));
        };
        let (name, list) = text[open + 1..close].split_once(':').unwrap_or((&text[open + 1..close], ""));
        let (capture, shape) = capture(name)?;
        if list.is_empty() {
            let (prefix, suffix) = (text[..open].into(), text[close + 1..].into());
            return Ok(Segment::Shaped { prefix, shape, capture, suffix });
        }
        if open > 0 || close + 1 < text.len() {
            return Err((format!("{text:?} has text beside a list"), "let the list be the whole segment".to_owned()));
        }
        return Ok(Segment::OneOf(words(list), capture));
    }
    match text.split_once('*') {
        Some((prefix, suffix)) if !suffix.contains('*') => Ok(Segment::Shaped {
            prefix: prefix.into(),
            shape: Shape::Any,
            capture: Capture::Ignore,
            suffix: suffix.into(),
        }),
        Some(_) => Err((format!("{text:?} has more than one star"), "use ** only first and last".to_owned())),
        None if text.contains('|') => Ok(Segment::OneOf(words(text), Capture::Ignore)),
        None => Ok(Segment::Word(text.into())),
    }
}

/// Reads what a parameter must be.
pub(super) fn condition(text: &str) -> Result<Condition, Said> {
    let inner = |text: &str| text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).map(capture);
    match text {
        "*" => Ok(Condition::Present),
        "!" => Ok(Condition::Absent),
        _ => {
            if let Some(perhaps) = text.strip_suffix('?').and_then(inner) {
                return Ok(Condition::Perhaps(perhaps?.0));
            }
            match inner(text) {
                Some(capture) => Ok(Condition::Captured(capture?.0)),
                None => Ok(Condition::OneOf(words(text))),
            }
        }
    }
}
