//! What a device's worker hears.

use std::collections::BTreeSet;
use std::time::Duration;

use usp_mapping::port::PointId;
use usp_mapping::zigbee::zcl::Frame;

use super::ncp::Loss;
use crate::bus::mailbox::Letter;

/// Something unasked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Word {
    /// The device said this.
    Frame {
        endpoint: u8,
        cluster: u16,
        frame: Frame,
        /// Two that are alike in this are about the same.
        subject: String,
        /// It was said before what is being sent at the moment: it cannot be what follows from that.
        is_old: bool,
    },
    /// Of these, by endpoint, cluster and attribute, it does not make the reports that it was to make.
    Unreported(BTreeSet<(u8, u16, u16)>),
    /// It joined, or came back.
    Back,
    /// It was heard just now, and writes wait for that.
    Awake,
    /// It is not in the network, and why.
    Left(String),
    /// It was not heard for so long, which is too long.
    Silent(Duration),
    /// What a point said is over, because it was not said again.
    Over(PointId),
    /// Something that it said before may be lost between the coordinator and the hub.
    Lost(Loss),
    /// For that all of it is read, in its turn.
    Reread,
}

impl Word {
    /// What a device said.
    pub(super) fn frame(endpoint: u8, cluster: u16, frame: Frame) -> Self {
        // Reports of different attributes are about different things.
        let first = frame.payload.get(..2).unwrap_or_default();
        let subject = format!("{endpoint} {cluster} {} {first:?}", frame.command);
        Self::Frame { endpoint, cluster, frame, subject, is_old: false }
    }

    /// The same, said before what is being sent.
    pub(super) fn aged(mut self) -> Self {
        if let Self::Frame { is_old, .. } = &mut self {
            *is_old = true;
        }
        self
    }
}

impl Letter for Word {
    fn subject(&self) -> &str {
        match self {
            Self::Frame { subject, .. } => subject,
            Self::Unreported(_) => "unreported",
            Self::Lost(_) => "lost",
            Self::Reread => "reread",
            Self::Back | Self::Awake | Self::Left(_) | Self::Silent(_) | Self::Over(_) => "",
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Frame { frame, .. } => frame.payload.len() + 64,
            Self::Unreported(all) => 64 + 8 * all.len(),
            Self::Back
            | Self::Awake
            | Self::Left(_)
            | Self::Silent(_)
            | Self::Over(_)
            | Self::Lost(_)
            | Self::Reread => 64,
        }
    }
}
