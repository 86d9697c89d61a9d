//! The longest common subsequence: what two ordered lists share without changing the order of either.

/// The most cells that the comparison may take; lists beyond that share only their start and end.
const MOST_CELLS: usize = 4_000_000;

/// Pairs of positions `(left, right)` of equal items, both rising, as many as possible.
///
/// Work and memory are `left.len() * right.len()` after the common start and end are taken off. Somebody
/// may have put a million rules into our chain, so there is a limit to that.
pub(crate) fn common<T: PartialEq>(left: &[T], right: &[T]) -> Vec<(usize, usize)> {
    let start = left.iter().zip(right).take_while(|(l, r)| l == r).count();
    let (left_rest, right_rest) = (tail(left, start), tail(right, start));
    let end =
        left_rest.iter().rev().zip(right_rest.iter().rev()).take_while(|(l, r)| l == r).count();
    let (left_middle, right_middle) = (head(left_rest, end), head(right_rest, end));
    let mut pairs: Vec<(usize, usize)> = (0..start).map(|index| (index, index)).collect();
    pairs
        .extend(middle(left_middle, right_middle).into_iter().map(|(l, r)| (start + l, start + r)));
    pairs.extend(
        (0..end)
            .map(|index| (start + left_middle.len() + index, start + right_middle.len() + index)),
    );
    pairs
}

fn tail<T>(list: &[T], start: usize) -> &[T] {
    list.get(start..).unwrap_or_default()
}

fn head<T>(list: &[T], end: usize) -> &[T] {
    list.get(..list.len().saturating_sub(end)).unwrap_or_default()
}

/// The textbook table, filled from the end: `lengths[l][r]` is the answer's length for `left[l..]`, `right[r..]`.
fn middle<T: PartialEq>(left: &[T], right: &[T]) -> Vec<(usize, usize)> {
    let width = right.len() + 1;
    if left.len().saturating_mul(width) > MOST_CELLS {
        return Vec::new();
    }
    let mut lengths = vec![0_u32; (left.len() + 1) * width];
    let at = |lengths: &[u32], l: usize, r: usize| {
        lengths.get(l * width + r).copied().unwrap_or_default()
    };
    for (l, left_item) in left.iter().enumerate().rev() {
        for (r, right_item) in right.iter().enumerate().rev() {
            let length = if left_item == right_item {
                at(&lengths, l + 1, r + 1) + 1
            } else {
                at(&lengths, l + 1, r).max(at(&lengths, l, r + 1))
            };
            if let Some(cell) = lengths.get_mut(l * width + r) {
                *cell = length;
            }
        }
    }
    let (mut l, mut r) = (0, 0);
    let mut pairs = Vec::new();
    while let (Some(left_item), Some(right_item)) = (left.get(l), right.get(r)) {
        if left_item == right_item {
            pairs.push((l, r));
            (l, r) = (l + 1, r + 1);
        } else if at(&lengths, l + 1, r) >= at(&lengths, l, r + 1) {
            l += 1;
        } else {
            r += 1;
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_common_keeps_its_order() {
        let cases: [(&str, &str, &str); 7] = [
            ("", "", ""),
            ("abc", "", ""),
            ("abc", "abc", "abc"),
            ("abc", "xabyc", "abc"),
            ("abcd", "bacd", "bcd"),
            ("abcabba", "cbabac", "baba"),
            ("aab", "ab", "ab"),
        ];
        for (left, right, shared) in cases {
            let (left, right): (Vec<char>, Vec<char>) =
                (left.chars().collect(), right.chars().collect());
            let pairs = common(&left, &right);
            assert!(pairs.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 < two[1].1));
            assert!(pairs.iter().all(|&(l, r)| left[l] == right[r]));
            assert_eq!(pairs.len(), shared.len(), "{left:?} {right:?}: {pairs:?}");
        }
    }

    #[test]
    fn huge_lists_share_their_start_and_end_only() {
        let left: Vec<u32> = (0..3000).collect();
        let mut right = left.clone();
        right.swap(1, 2998);
        assert_eq!(common(&left, &right), [(0, 0), (2999, 2999)]);
    }
}
