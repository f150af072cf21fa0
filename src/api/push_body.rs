//! What is in the body of a push: unpacked, and cut into records, each the very bytes that came. Not for who may push (`push`).
//!
//! A body is looked into only as far as it takes to find where records end. Whether a record is right is for its grammar to say: one that is
//! broken is kept and lands in quarantine, as a broken line of a file does. A body whose brackets do not close is taken line by line from
//! there on, so that nothing of it is lost.

use std::io::Read;
use std::ops::Range;

use memchr::{memchr, memchr2};

/// What a sender says it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// One value, a list of them, or values one after the other.
    Json,
    /// One record a line.
    Lines,
    /// It does not say: JSON if it begins so.
    Unsaid,
}

impl Shape {
    /// By the content type; nothing for one that holds no records.
    pub(super) fn of(content_type: Option<&str>) -> Option<Shape> {
        let Some(content_type) = content_type else { return Some(Shape::Unsaid) };
        let media = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match media.as_str() {
            "application/json" | "text/json" => Some(Shape::Json),
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines"
            | "text/plain" => Some(Shape::Lines),
            _ if media.starts_with("application/") && media.ends_with("+json") => Some(Shape::Json),
            _ => None,
        }
    }
}

/// How a body is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packing {
    None,
    Gzip,
    Deflate,
    Zstd,
}

impl Packing {
    /// By the content encoding; nothing for one that is not known.
    pub(super) fn of(encoding: Option<&str>) -> Option<Packing> {
        match encoding.map(|text| text.trim().to_ascii_lowercase()).as_deref() {
            None | Some("" | "identity") => Some(Packing::None),
            Some("gzip" | "x-gzip") => Some(Packing::Gzip),
            Some("deflate") => Some(Packing::Deflate),
            Some("zstd") => Some(Packing::Zstd),
            Some(_) => None,
        }
    }
}

/// Why a body cannot be unpacked.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unpacking {
    /// It would be larger than may be.
    TooLarge,
    /// It is not packed as it says.
    Broken,
}

/// Unpacks a body, up to `limit` bytes.
pub(super) fn unpack(body: Vec<u8>, packing: Packing, limit: usize) -> Result<Vec<u8>, Unpacking> {
    let mut reader: Box<dyn Read + '_> = match packing {
        Packing::None => return if body.len() > limit { Err(Unpacking::TooLarge) } else { Ok(body) },
        Packing::Gzip => Box::new(flate2::read::MultiGzDecoder::new(&body[..])),
        Packing::Deflate => Box::new(flate2::read::ZlibDecoder::new(&body[..])),
        Packing::Zstd => Box::new(zstd::Decoder::with_buffer(&body[..]).map_err(|_| Unpacking::Broken)?),
    };
    let mut unpacked = Vec::new();
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    reader.by_ref().take(most).read_to_end(&mut unpacked).map_err(|_| Unpacking::Broken)?;
    if unpacked.len() > limit { Err(Unpacking::TooLarge) } else { Ok(unpacked) }
}

/// The records of a body.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Records {
    /// Where each lies.
    pub(super) spans: Vec<Range<usize>>,
    /// Where JSON began that does not close.
    pub(super) broken_at: Option<usize>,
}

/// Cuts a body into its records.
pub(super) fn records(body: &[u8], shape: Shape) -> Records {
    let mut cutter = Cutter { body, at: 0, records: Records::default() };
    if body.starts_with(b"\xef\xbb\xbf") {
        cutter.at = 3;
    }
    let first = body[cutter.at..].iter().find(|byte| !byte.is_ascii_whitespace());
    match (shape, first) {
        (Shape::Json, _) | (Shape::Unsaid, Some(b'{' | b'[')) => cutter.values(),
        _ => cutter.lines(),
    }
    cutter.records
}

struct Cutter<'b> {
    body: &'b [u8],
    at: usize,
    records: Records,
}

impl Cutter<'_> {
    fn lines(&mut self) {
        while self.at < self.body.len() {
            let end = self.line_end();
            self.push(self.at..end);
            self.at = end + 1;
        }
    }

    fn line_end(&self) -> usize {
        memchr(b'\n', &self.body[self.at..]).map_or(self.body.len(), |end| self.at + end)
    }

    /// Without the carriage return and the blanks of an empty line.
    fn push(&mut self, span: Range<usize>) {
        let bytes = &self.body[span.clone()];
        let bytes = bytes.strip_suffix(b"\r").unwrap_or(bytes);
        if !bytes.trim_ascii().is_empty() {
            self.records.spans.push(span.start..span.start + bytes.len());
        }
    }

    fn skip(&mut self, also: u8) {
        while self.body.get(self.at).is_some_and(|byte| byte.is_ascii_whitespace() || *byte == also) {
            self.at += 1;
        }
    }

    /// Values one after the other, with line ends, blanks or nothing between.
    fn values(&mut self) {
        loop {
            self.skip(b' ');
            match self.body.get(self.at) {
                None => return,
                Some(b'[') => {
                    if !self.list() {
                        return;
                    }
                }
                Some(b'{') => match self.value_end() {
                    Some(end) => self.take(end),
                    None => return self.broken(),
                },
                Some(_) => {
                    let end = self.line_end();
                    self.push(self.at..end);
                    self.at = end;
                }
            }
        }
    }

    fn take(&mut self, end: usize) {
        self.records.spans.push(self.at..end);
        self.at = end;
    }

    /// What does not close is kept line by line.
    fn broken(&mut self) {
        self.records.broken_at = Some(self.at);
        self.lines();
    }

    /// The elements of a list. False where it does not close.
    fn list(&mut self) -> bool {
        self.at += 1;
        loop {
            self.skip(b',');
            match self.body.get(self.at) {
                Some(b']') => {
                    self.at += 1;
                    return true;
                }
                Some(_) => match self.value_end() {
                    Some(end) => self.take(end),
                    None => {
                        self.broken();
                        return false;
                    }
                },
                None => {
                    self.records.broken_at = Some(self.at);
                    return false;
                }
            }
        }
    }

    /// One past the value that starts here; nothing where it does not end. Anything that is neither object, list nor text ends before the
    /// next comma or bracket.
    fn value_end(&self) -> Option<usize> {
        let rest = &self.body[self.at..];
        match rest[0] {
            b'{' | b'[' => {
                let mut depth = 0usize;
                let mut at = 0;
                while at < rest.len() {
                    match rest[at] {
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' => {
                            depth -= 1;
                            if depth == 0 {
                                return Some(self.at + at + 1);
                            }
                        }
                        b'"' => {
                            at = text_end(rest, at)?;
                            continue;
                        }
                        _ => {}
                    }
                    at += 1;
                }
                None
            }
            b'"' => text_end(rest, 0).map(|end| self.at + end),
            _ => {
                let end = memchr2(b',', b']', rest)?;
                Some(self.at + rest[..end].trim_ascii_end().len())
            }
        }
    }
}

/// One past the quote that closes the one at `at`.
fn text_end(bytes: &[u8], at: usize) -> Option<usize> {
    let mut at = at + 1;
    loop {
        let found = at + memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes[found] == b'"' {
            return Some(found + 1);
        }
        at = found + 2;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use proptest::prelude::*;

    use super::*;

    fn cut(body: &str, shape: Shape) -> (Vec<&str>, Option<usize>) {
        let records = records(body.as_bytes(), shape);
        (records.spans.iter().map(|span| &body[span.clone()]).collect(), records.broken_at)
    }

    #[test]
    fn each_shape_gives_its_records_byte_for_byte() {
        for (body, shape, expected) in [
            ("{\"a\" :1 }", Shape::Json, &["{\"a\" :1 }"][..]),
            (
                " [ {\"a\":[1,{}]} , {\"b\":\"]},{\\\"\"},3 , \"x,]\" ]\n",
                Shape::Json,
                &["{\"a\":[1,{}]}", "{\"b\":\"]},{\\\"\"}", "3", "\"x,]\""],
            ),
            ("[]", Shape::Json, &[]),
            ("{\"a\":\n1}\n{\"b\":2}{\"c\":3}", Shape::Json, &["{\"a\":\n1}", "{\"b\":2}", "{\"c\":3}"]),
            ("[{\"a\":1}][2]", Shape::Json, &["{\"a\":1}", "2"]),
            ("\u{feff}{\"a\":1}\r\n\r\n{\"b\"\n", Shape::Lines, &["{\"a\":1}", "{\"b\""]),
            ("one\ntwo", Shape::Unsaid, &["one", "two"]),
            ("\n [{\"a\":1}]", Shape::Unsaid, &["{\"a\":1}"]),
            ("", Shape::Json, &[]),
            (" \n", Shape::Unsaid, &[]),
        ] {
            assert_eq!(cut(body, shape), (expected.to_vec(), None), "{body}");
        }
    }

    #[test]
    fn json_that_does_not_close_is_kept_line_by_line_and_its_place_told() {
        assert_eq!(cut("{\"a\":1}\n{\"b\":\n2", Shape::Json), (vec!["{\"a\":1}", "{\"b\":", "2"], Some(8)));
        assert_eq!(cut("[{\"a\":1},{\"b\":\"", Shape::Json), (vec!["{\"a\":1}", "{\"b\":\""], Some(9)));
        assert_eq!(cut("[{\"a\":1},", Shape::Json), (vec!["{\"a\":1}"], Some(9)));
        assert_eq!(cut("[1 2", Shape::Json), (vec!["1 2"], Some(1)));
        assert_eq!(cut("no json at all", Shape::Json), (vec!["no json at all"], None));
    }

    proptest! {
        #[test]
        fn no_byte_that_means_something_is_lost(body in "[\\[\\]{}\",\\\\ a1\n]{0,40}") {
            for shape in [Shape::Json, Shape::Lines, Shape::Unsaid] {
                let records = records(body.as_bytes(), shape);
                let mut last = 0;
                for span in &records.spans {
                    prop_assert!(span.start >= last && span.end > span.start && span.end <= body.len(), "{records:?}");
                    let between = &body[last..span.start];
                    prop_assert!(between.chars().all(|one| " \n,[]".contains(one)), "lost {between:?} of {body:?}");
                    last = span.end;
                }
                prop_assert!(body[last..].chars().all(|one| " \n,[]".contains(one)), "{body:?}: {records:?}");
            }
        }
    }

    #[test]
    fn a_body_is_unpacked_up_to_its_bound() {
        let text = vec![b'x'; 5_000];
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gzip.write_all(&text).expect("packed");
        let gzip = gzip.finish().expect("packed");
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(&text).expect("packed");
        let zlib = zlib.finish().expect("packed");
        let zstd = zstd::encode_all(&text[..], 1).expect("packed");
        for (packed, packing) in [(gzip, Packing::Gzip), (zlib, Packing::Deflate), (zstd, Packing::Zstd)] {
            assert!(packed.len() < 100);
            assert_eq!(unpack(packed.clone(), packing, 5_000), Ok(text.clone()));
            assert_eq!(unpack(packed.clone(), packing, 4_999), Err(Unpacking::TooLarge));
            assert_eq!(unpack(packed[..packed.len() / 2].to_vec(), packing, 5_000), Err(Unpacking::Broken));
        }
        assert_eq!(unpack(text.clone(), Packing::None, 4_999), Err(Unpacking::TooLarge));
        assert_eq!((Packing::of(Some("br")), Packing::of(Some("GZIP"))), (None, Some(Packing::Gzip)));
    }

    #[test]
    fn a_content_type_says_the_shape_and_a_form_is_none() {
        assert_eq!(Shape::of(Some("Application/JSON; charset=utf-8")), Some(Shape::Json));
        assert_eq!(Shape::of(Some("application/cloudevents+json")), Some(Shape::Json));
        assert_eq!(Shape::of(Some("application/x-ndjson")), Some(Shape::Lines));
        assert_eq!(Shape::of(None), Some(Shape::Unsaid));
        assert_eq!(Shape::of(Some("application/x-www-form-urlencoded")), None);
    }
}
