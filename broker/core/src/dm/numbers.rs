//! The Instance Numbers that lead to an object. There are as many of them as there are rows, and a path seldom has more than
//! three: so few need no memory of their own.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use usp_proto::path::InstanceNumber;

/// How many fit in.
const FEW: usize = 3;

/// Instance Numbers from the top down.
#[derive(Clone)]
pub struct Numbers(Kept);

#[derive(Clone)]
enum Kept {
    /// The first so many.
    Few(u8, [InstanceNumber; FEW]),
    Many(Arc<Vec<InstanceNumber>>),
}

impl From<&[InstanceNumber]> for Numbers {
    fn from(numbers: &[InstanceNumber]) -> Self {
        let mut few = [0; FEW];
        match few.get_mut(..numbers.len()) {
            Some(places) => {
                places.copy_from_slice(numbers);
                Self(Kept::Few(numbers.len() as u8, few))
            }
            None => Self(Kept::Many(Arc::new(numbers.to_vec()))),
        }
    }
}

impl From<Vec<InstanceNumber>> for Numbers {
    fn from(numbers: Vec<InstanceNumber>) -> Self {
        Self::from(numbers.as_slice())
    }
}

impl Deref for Numbers {
    type Target = [InstanceNumber];

    fn deref(&self) -> &[InstanceNumber] {
        match &self.0 {
            Kept::Few(count, few) => few.get(..usize::from(*count)).unwrap_or_default(),
            Kept::Many(numbers) => numbers,
        }
    }
}

impl PartialEq for Numbers {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Numbers {}

impl PartialOrd for Numbers {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Numbers {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (**self).cmp(&**other)
    }
}

impl std::hash::Hash for Numbers {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl fmt::Debug for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn they_are_the_numbers_whatever_their_count(
            a in prop::collection::vec(0u32..4, 0..6),
            b in prop::collection::vec(0u32..4, 0..6),
        ) {
            let (left, right) = (Numbers::from(a.as_slice()), Numbers::from(b.clone()));
            prop_assert_eq!(&*left, a.as_slice());
            prop_assert_eq!(left.cmp(&right), a.cmp(&b));
            prop_assert_eq!(left == right, a == b);
            prop_assert_eq!(format!("{left:?}"), format!("{a:?}"));
        }
    }

    #[test]
    fn few_take_no_more_than_a_pointer_to_many() {
        assert_eq!(size_of::<Numbers>(), 16);
    }
}
