//! What stands for lines and bars on a terminal, and how wide it is.

use crate::output::printable;
use console::{Term, measure_text_width, truncate_str};

/// The width where nothing tells.
const WIDTH_DEFAULT: usize = 80;
/// What stands between a row and its bar.
const GAP: &str = "  ";
/// Columns of the longest bar, and of the shortest that is worth drawing.
const BAR_WIDTH_MAX: usize = 40;
const BAR_WIDTH_MIN: usize = 8;

/// Signs of one character set.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Glyphs {
    /// Before a part that others follow, and before the lines below it.
    pub(crate) branch: &'static str,
    pub(crate) pass: &'static str,
    /// Before the last part.
    pub(crate) last: &'static str,
    /// Before what is wrong.
    pub(crate) bad: &'static str,
    /// Parts of a full block, from the smallest to the whole.
    blocks: &'static [&'static str],
}

impl Glyphs {
    pub(crate) const UNICODE: Self =
        Self {
            branch: "├─ ", pass: "│  ", last: "└─ ", bad: "✗", blocks: &["▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"]
        };
    pub(crate) const ASCII: Self = Self { branch: "|- ", pass: "|  ", last: "`- ", bad: "!!", blocks: &["#"] };

    /// Those of Unicode, unless ASCII is asked for or the locale is not one of UTF-8.
    pub(crate) fn choose(ascii: bool) -> Self {
        if ascii || !is_utf8(|name| std::env::var(name).ok()) { Self::ASCII } else { Self::UNICODE }
    }

    /// A bar that is to `width` as `part` is to `whole`. What is not nothing is seen.
    pub(crate) fn bar(&self, part: u64, whole: u64, width: usize) -> String {
        if whole == 0 || part == 0 {
            return String::new();
        }
        let steps = self.blocks.len();
        let filled = (part as f64 / whole as f64 * (width * steps) as f64).round() as usize;
        let filled = filled.clamp(1, width * steps);
        let mut bar = self.blocks[steps - 1].repeat(filled / steps);
        if let Some(rest) = (filled % steps).checked_sub(1) {
            bar.push_str(self.blocks[rest]);
        }
        bar
    }

    /// A table with a bar behind each row, to the scale of the largest size; `None` where there is no room.
    pub(crate) fn with_bars(&self, table: &str, sizes: &[u64], columns: usize) -> Option<String> {
        let used = table.lines().map(width).max().unwrap_or(0);
        let room = columns.saturating_sub(used + GAP.len() + 1).min(BAR_WIDTH_MAX);
        if room < BAR_WIDTH_MIN {
            return None;
        }
        let largest = sizes.iter().copied().max().unwrap_or(0);
        // Title and rule come first.
        let bars = [String::new(), String::new()].into_iter();
        let bars = bars.chain(sizes.iter().map(|&size| self.bar(size, largest, room)));
        let lines = table.lines().zip(bars).map(|(line, bar)| {
            let blank = " ".repeat(used - width(line));
            format!("{line}{blank}{GAP}{bar}").trim_end().to_owned()
        });
        Some(lines.collect::<Vec<_>>().join("\n"))
    }
}

/// The text, shortened where it takes more columns than this.
pub(crate) fn shorten(text: &str, width_max: usize) -> String {
    truncate_str(&printable(text), width_max, "...").into_owned()
}

/// Whether the locale's characters are UTF-8, as the first of these variables that is set says.
fn is_utf8(variable: impl Fn(&str) -> Option<String>) -> bool {
    let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable).find(|locale| !locale.is_empty());
    locale.is_some_and(|locale| {
        let locale = locale.to_ascii_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    })
}

/// Columns of the terminal.
pub(crate) fn terminal_width() -> usize {
    Term::stdout().size_checked().map_or(WIDTH_DEFAULT, |(_, columns)| columns.into())
}

/// Columns that a text takes.
pub(crate) fn width(text: &str) -> usize {
    measure_text_width(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_in_proportion_and_never_longer_than_its_room() {
        let bar = |part, whole| Glyphs::UNICODE.bar(part, whole, 4);
        assert_eq!([bar(0, 8), bar(1, 1000), bar(4, 8), bar(8, 8)], ["", "▏", "██", "████"]);
        assert_eq!([bar(5, 32), bar(31, 32), bar(0, 0)], ["▋", "███▉", ""]);
        let bar = |part, whole| Glyphs::ASCII.bar(part, whole, 4);
        assert_eq!([bar(0, 8), bar(1, 1000), bar(4, 8), bar(8, 8)], ["", "#", "##", "####"]);
        assert_eq!(Glyphs::UNICODE.bar(u64::MAX, u64::MAX, 40).chars().count(), 40);
    }

    #[test]
    fn bars_stand_behind_the_rows_in_a_column_of_their_own() {
        let table = "dimension     size\n---------  -------\na          100 B\nlong       1.00 KiB";
        let drawn = Glyphs::ASCII.with_bars(table, &[512, 1024], 31).unwrap();
        assert_eq!(
            drawn,
            "dimension     size\n---------  -------\na          100 B     #####\nlong       1.00 KiB  #########"
        );
        assert_eq!(Glyphs::ASCII.with_bars(table, &[512, 1024], 28), None, "there is no room");
        let wide = Glyphs::UNICODE.with_bars(table, &[0, 1024], 500).unwrap();
        assert!(wide.ends_with(&format!("  {}", "█".repeat(BAR_WIDTH_MAX))) && wide.contains("100 B\n"), "{wide}");
    }

    #[test]
    fn the_first_variable_that_is_set_tells_the_locale() {
        let locale = |set: &[(&str, &str)]| {
            is_utf8(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert!(locale(&[("LANG", "de_DE.UTF-8")]));
        assert!(locale(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8"), ("LANG", "C")]));
        assert!(!locale(&[("LC_ALL", "C"), ("LANG", "de_DE.UTF-8")]));
        assert!(!locale(&[]));
    }
}
