//! Display slots: a display number, a raw VNC port and a VNC id that belong together, and the handle to the screen on them.
//!
//! The three are taken at the same offset of their ranges, so that an external gateway, which computes
//! `port = VNC_BASE_PORT + (id - first id)`, finds the right server without asking anybody.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use crate::model::error::{Error, Result};
use crate::model::screen::ScreenHandle;
use crate::process::Os;

/// The three ranges that slots are cut from; the shortest decides how many there are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotRanges {
    /// X display numbers.
    pub displays: RangeInclusive<u16>,
    /// TCP ports of the VNC servers.
    pub vnc_ports: RangeInclusive<u16>,
    /// Public VNC ids.
    pub vnc_ids: RangeInclusive<u16>,
}

impl SlotRanges {
    /// How many slots the ranges hold.
    pub fn capacity(&self) -> usize {
        [&self.displays, &self.vnc_ports, &self.vnc_ids]
            .into_iter()
            .map(ExactSizeIterator::len)
            .min()
            .unwrap_or(0)
    }
}

/// All slots of one worker. Cloning shares them.
#[derive(Debug, Clone)]
pub struct Slots {
    ranges: SlotRanges,
    free: Free,
}

/// Offsets that nobody holds. Locked for the time of a set operation only.
#[derive(Debug, Clone)]
struct Free {
    offsets: Arc<Mutex<BTreeSet<u16>>>,
    count: watch::Sender<usize>,
}

impl Free {
    fn change<T>(&self, change: impl FnOnce(&mut BTreeSet<u16>) -> T) -> T {
        let mut offsets = self.offsets.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut offsets);
        self.count.send_replace(offsets.len());
        result
    }
}

impl Slots {
    /// All slots of the ranges, free.
    pub fn new(ranges: SlotRanges) -> Self {
        let count = u16::try_from(ranges.capacity()).unwrap_or(u16::MAX);
        let offsets = Arc::new(Mutex::new((0..count).collect()));
        Self { ranges, free: Free { offsets, count: watch::Sender::new(usize::from(count)) } }
    }

    /// Takes the lowest slot whose display and port no other program uses.
    ///
    /// # Errors
    /// [`Error::NoSlot`] when there is none.
    pub fn lease(&self, os: &dyn Os) -> Result<SlotLease> {
        let take = |free: &mut BTreeSet<u16>| {
            let usable = free.iter().copied().find(|offset| {
                os.display_is_free(self.ranges.displays.start() + offset)
                    && os.port_is_free(self.ranges.vnc_ports.start() + offset)
            })?;
            free.remove(&usable);
            Some(usable)
        };
        let offset = self.free.change(take).ok_or(Error::NoSlot { limit: self.ranges.capacity() })?;
        Ok(SlotLease {
            display: self.ranges.displays.start() + offset,
            vnc_port: self.ranges.vnc_ports.start() + offset,
            vnc_id: self.ranges.vnc_ids.start() + offset,
            screen: ScreenHandle::default(),
            offset,
            free: self.free.clone(),
        })
    }

    /// How many slots there are.
    pub fn capacity(&self) -> usize {
        self.ranges.capacity()
    }

    /// How many slots nobody holds.
    pub fn free(&self) -> usize {
        *self.free.count.borrow()
    }

    /// Tells of every change of [`Self::free`].
    pub fn watch_free(&self) -> watch::Receiver<usize> {
        self.free.count.subscribe()
    }
}

/// A slot in use; it returns to its pool when this is dropped.
#[derive(Debug)]
pub struct SlotLease {
    /// The X display's number.
    pub display: u16,
    /// The TCP port of its VNC server.
    pub vnc_port: u16,
    /// The id that viewers name.
    pub vnc_id: u16,
    /// Leads viewers of this process to its screen, and to no other that has these numbers later.
    pub screen: ScreenHandle,
    offset: u16,
    free: Free,
}

impl Drop for SlotLease {
    fn drop(&mut self) {
        self.free.change(|free| free.insert(self.offset));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::fake_os::FakeOs;

    fn slots(count: u16) -> Slots {
        Slots::new(SlotRanges {
            displays: 100..=100 + count - 1,
            vnc_ports: 5900..=5999,
            vnc_ids: 6900..=6999,
        })
    }

    #[test]
    fn the_parts_of_a_slot_stand_at_the_same_offset() {
        let (slots, os) = (slots(3), FakeOs::new());
        let _first = slots.lease(&os).unwrap();
        let second = slots.lease(&os).unwrap();
        assert_eq!((second.display, second.vnc_port, second.vnc_id), (101, 5901, 6901));
    }

    #[test]
    fn a_dropped_lease_is_the_next_to_be_taken() {
        let (slots, os) = (slots(2), FakeOs::new());
        let first = slots.lease(&os).unwrap();
        let _second = slots.lease(&os).unwrap();
        assert_eq!(slots.lease(&os).unwrap_err(), Error::NoSlot { limit: 2 });
        drop(first);
        assert_eq!(slots.lease(&os).unwrap().display, 100);
    }

    #[test]
    fn a_display_or_port_of_another_program_is_passed_over() {
        let (slots, os) = (slots(4), FakeOs::new());
        os.occupy_display(100);
        os.occupy_port(5901);
        assert_eq!(slots.lease(&os).unwrap().display, 102);
        assert_eq!(slots.free(), 4, "a slot that is passed over stays in the pool");
    }

    #[test]
    fn the_shortest_range_decides_the_capacity() {
        let ranges = SlotRanges { displays: 100..=199, vnc_ports: 5900..=5999, vnc_ids: 6900..=6904 };
        assert_eq!(Slots::new(ranges).capacity(), 5);
    }
}
