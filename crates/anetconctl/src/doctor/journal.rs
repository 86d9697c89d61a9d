//! A journal file, as far as it tells that journald missed messages of the kernel (systemd's JOURNAL_FILE_FORMAT).
//!
//! A text stands once in a file and lists its entries, so it is looked for as bytes, and each entry is asked for its boot: files go on
//! over restarts of the machine.

use memchr::memmem::Finder;

/// journald's own words, `Missed 5 kernel messages`: short enough never to be packed.
const BEGIN: &[u8] = b"MESSAGE=Missed ";
const END: &[u8] = b" kernel messages";

/// `HEADER_INCOMPATIBLE_COMPACT`, in the flags at 12: places of entries take 4 bytes, and a text's header 8 more.
const COMPACT: u32 = 1 << 4;
const FLAGS: usize = 12;

/// Kinds of objects, in their first byte.
const DATA: u8 = 1;
const ENTRY: u8 = 3;
const ARRAY: u8 = 6;

/// Where things are in objects.
const SIZE: usize = 8;
const DATA_ENTRY: usize = 40;
const DATA_ARRAY: usize = 48;
const DATA_PAYLOAD: usize = 64;
const ENTRY_BOOT: usize = 40;
const ARRAY_NEXT: usize = 16;
const ARRAY_ITEMS: usize = 24;

/// How often the journal says so of one boot.
pub fn missed(file: &[u8], boot: [u8; 16]) -> u64 {
    let journal = Journal { file, compact: number32(file, FLAGS).unwrap_or(0) & COMPACT != 0 };
    let texts = Finder::new(BEGIN);
    let of_boot =
        |at: usize| journal.entries(at).filter(|entry| journal.boot(*entry) == Some(boot));
    let count: usize =
        texts.find_iter(file).filter(|at| is_told(file, *at)).map(|at| of_boot(at).count()).sum();
    count as u64
}

/// Whether only a number stands between the beginning and the end.
fn is_told(file: &[u8], at: usize) -> bool {
    let rest = file.get(at + BEGIN.len()..).unwrap_or_default();
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    digits > 0 && rest.get(digits..).is_some_and(|rest| rest.starts_with(END))
}

struct Journal<'a> {
    file: &'a [u8],
    compact: bool,
}

impl Journal<'_> {
    /// The places of the entries with the text whose bytes begin here; none if it is no text of the journal.
    fn entries(&self, payload: usize) -> impl Iterator<Item = usize> {
        let header = if self.compact { DATA_PAYLOAD + 8 } else { DATA_PAYLOAD };
        let object = payload.checked_sub(header).filter(|at| self.is(*at, DATA));
        let first = object.and_then(|at| self.place(at + DATA_ENTRY));
        let mut array = object.and_then(|at| self.place(at + DATA_ARRAY));
        let mut entries: Vec<usize> = first.into_iter().collect();
        // A damaged file may lead in a circle.
        let mut left = self.file.len() / ARRAY_ITEMS;
        while let Some(at) = array.filter(|at| self.is(*at, ARRAY) && left > 0) {
            entries.extend(self.items(at));
            array = self.place(at + ARRAY_NEXT).filter(|next| *next > at);
            left -= 1;
        }
        entries.into_iter()
    }

    fn items(&self, array: usize) -> impl Iterator<Item = usize> {
        let size = self.place(array + SIZE).unwrap_or(0);
        let items =
            self.file.get(array + ARRAY_ITEMS..array.saturating_add(size)).unwrap_or_default();
        let width = if self.compact { 4 } else { 8 };
        items.chunks_exact(width).map(little_endian).take_while(|item| *item > 0)
    }

    fn boot(&self, entry: usize) -> Option<[u8; 16]> {
        let boot = self.file.get(entry + ENTRY_BOOT..entry + ENTRY_BOOT + 16)?;
        boot.try_into().ok().filter(|_| self.is(entry, ENTRY))
    }

    fn is(&self, at: usize, kind: u8) -> bool {
        self.file.get(at) == Some(&kind)
    }

    /// A place in the file that stands in it; `None` for none.
    fn place(&self, at: usize) -> Option<usize> {
        let place = self.file.get(at..at.checked_add(8)?).map(little_endian)?;
        (place > 0 && place < self.file.len()).then_some(place)
    }
}

fn number32(file: &[u8], at: usize) -> Option<u32> {
    file.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

fn little_endian(bytes: &[u8]) -> usize {
    bytes.iter().rev().fold(0, |number: usize, byte| number.wrapping_shl(8) | usize::from(*byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Damage gives a wrong number at worst.
    #[test]
    fn no_file_makes_it_panic() {
        let text = b"MESSAGE=Missed 5 kernel messages";
        for length in [0, 1, 15, 31, 40, 64, 72, 100] {
            for byte in [0, 1, 3, 6, 255] {
                let file = [vec![byte; length], text.to_vec(), vec![byte; length]].concat();
                assert_eq!(missed(&file, [7; 16]), 0);
            }
        }
    }

    #[test]
    fn only_journalds_own_words_count() {
        for (text, told) in [
            ("MESSAGE=Missed 5 kernel messages", true),
            ("MESSAGE=Missed 12345 kernel messages", true),
            ("MESSAGE=Missed  kernel messages", false),
            ("MESSAGE=Missed my kernel messages", false),
        ] {
            assert_eq!(is_told(text.as_bytes(), 0), told, "{text}");
        }
    }
}
