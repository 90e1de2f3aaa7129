//! The capabilities of a device: found by their place in the mapping, as readings come, and by the numbers of their row.

use usp_mapping::port::PointId;

use super::Capability;
use super::objects::Place;

/// All capabilities of a device, and behind them the windows that it holds, as the points of its mapping are. There are very
/// many of them, so there is as much memory as they need, and no more.
#[derive(Clone, Debug, Default)]
pub struct Capabilities {
    /// In the order of the mapping.
    all: Vec<(Place, Capability)>,
    /// Their places in that order, in the order of the numbers of their rows.
    by_row: Vec<u16>,
}

impl Capabilities {
    /// None yet, with room for so many.
    pub fn with_capacity(count: usize) -> Self {
        Self { all: Vec::with_capacity(count), by_row: Vec::with_capacity(count) }
    }

    /// Adds the next one of the mapping.
    pub fn push(&mut self, place: Place, capability: Capability) {
        let Ok(index) = u16::try_from(self.all.len()) else { return };
        if let Err(row) = self.find(place) {
            self.by_row.insert(row, index);
        }
        self.all.push((place, capability));
    }

    fn find(&self, place: Place) -> Result<usize, usize> {
        self.by_row.binary_search_by_key(&Some(place), |index| self.place(PointId(*index)))
    }

    fn index(&self, place: Place) -> Option<usize> {
        let row = self.find(place).ok()?;
        self.by_row.get(row).map(|index| usize::from(*index))
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Where the capability is that has this place in the mapping.
    pub fn place(&self, point: PointId) -> Option<Place> {
        self.all.get(usize::from(point.0)).map(|(place, _)| *place)
    }

    /// The capability that has this place in the mapping.
    pub fn at(&self, point: PointId) -> Option<&Capability> {
        self.all.get(usize::from(point.0)).map(|(_, capability)| capability)
    }

    /// The same, for changes.
    pub fn at_mut(&mut self, point: PointId) -> Option<&mut Capability> {
        self.all.get_mut(usize::from(point.0)).map(|(_, capability)| capability)
    }

    /// The capability of this row.
    pub fn get(&self, place: Place) -> Option<&Capability> {
        self.all.get(self.index(place)?).map(|(_, capability)| capability)
    }

    /// The same, for changes.
    pub fn get_mut(&mut self, place: Place) -> Option<&mut Capability> {
        let index = self.index(place)?;
        self.all.get_mut(index).map(|(_, capability)| capability)
    }

    /// Whether there is one of this row.
    pub fn contains(&self, place: Place) -> bool {
        self.find(place).is_ok()
    }

    /// Their rows, by number.
    pub fn places(&self) -> impl Iterator<Item = Place> {
        self.by_row.iter().filter_map(|index| self.place(PointId(*index)))
    }

    /// All, for changes, in the order of the mapping.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (Place, &mut Capability)> {
        self.all.iter_mut().map(|(place, capability)| (*place, capability))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_found_by_their_rows_whatever_the_order_of_the_mapping() {
        let place = |node, own| Place { node, own, window: None };
        let rows = [place(None, 7), place(None, 2), place(Some(1), 2), place(None, 9)];
        let mut all = Capabilities::with_capacity(rows.len());
        for (point, row) in (0..).map(PointId).zip(rows) {
            all.push(row, Capability::new(point));
        }
        for (point, row) in (0..).map(PointId).zip(rows) {
            assert_eq!(all.get(row).map(|c| c.point), Some(point), "{row:?}");
            assert_eq!((all.place(point), all.at(point).map(|c| c.point)), (Some(row), Some(point)));
            assert!(all.contains(row));
        }
        assert!(!all.contains(place(Some(2), 2)) && all.get(place(None, 1)).is_none());
        let sorted: Vec<Place> = all.places().collect();
        assert_eq!(sorted, [rows[1], rows[0], rows[3], rows[2]]);
        assert_eq!((all.len(), all.place(PointId(4))), (4, None));
    }
}
