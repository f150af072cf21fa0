//! The file that a position is of, wherever it lies by now: for reading again what was read of it. Not for following files (`identity`,
//! `whereabouts`).

use std::io;
use std::path::Path;

use super::discover::siblings;
use super::input::{Input, is_no_answer};
use super::position::Position;

/// How often the folder is listed while names change in it.
const LISTINGS: u32 = 5;

/// The file a position belongs to, under whatever name it has now; an error where it is not known whether it is there.
///
/// Files that go away between the listing and the opening were renamed, or replaced by what was compressed of them: the folder is listed
/// again.
pub fn locate(position: &Position) -> io::Result<Option<Input>> {
    let own = Path::new(&position.path);
    let mut unknown = None;
    for _ in 0..LISTINGS {
        unknown = None;
        let mut vanished = false;
        for path in std::iter::once(own.to_owned()).chain(siblings(own)) {
            let fitting = Input::open(&path).and_then(|mut input| Ok(position.fits(&mut input)?.then_some(input)));
            match fitting {
                Ok(Some(input)) => return Ok(Some(input)),
                Ok(None) => {}
                Err(error) if is_no_answer(&error, path != own) => {
                    unknown.get_or_insert(error);
                }
                Err(error) => vanished |= path != own && error.kind() == io::ErrorKind::NotFound,
            }
        }
        if !vanished {
            break;
        }
    }
    unknown.map_or(Ok(None), Err)
}
