//! What has to be read of a device before a mapping can be written for it.

use super::Interview;

/// Clusters whose attributes say what others mean, or whether the device has them.
const WANTED: &[(u16, &[u16])] = &[
    // Voltage and percentage of the battery.
    (0x0001, &[0x0020, 0x0021]),
    // Type of the covering, and where it is.
    (0x0102, &[0x0000, 0x0008, 0x0009]),
    // Limits of heating and cooling, and whether there are both.
    (0x0201, &[0x0003, 0x0004, 0x0005, 0x0006, 0x0008, 0x0011, 0x0012, 0x001b, 0x001c, 0x0029]),
    (0x0202, &[0x0001]),
    // What the light can do, and how warm and how cold.
    (0x0300, &[0x400a, 0x400b, 0x400c]),
    (0x0403, &[0x0010, 0x0014]),
    (0x0500, &[0x0001]),
    // Which sums there are, their unit, multiplier and divisor.
    (0x0702, &[0x0000, 0x0001, 0x0300, 0x0301, 0x0302, 0x0306, 0x0400]),
    (
        0x0b04,
        &[
            0x0300, 0x0304, 0x0400, 0x0401, 0x0402, 0x0403, 0x0505, 0x0508, 0x050b, 0x0510, 0x0600, 0x0601,
            0x0602, 0x0603, 0x0604, 0x0605, 0x0905, 0x0908, 0x090b, 0x0a05, 0x0a08, 0x0a0b,
        ],
    ),
];

/// Endpoint, cluster and attributes that are to be read once the simple descriptors are known. What the device does not
/// have is left out of [`Interview::held`]; a non-value is not there either.
pub fn wanted(interview: &Interview) -> Vec<(u8, u16, &'static [u16])> {
    let mut all = Vec::new();
    for endpoint in &interview.endpoints {
        for (cluster, attributes) in WANTED {
            if endpoint.inputs.contains(cluster) {
                all.push((endpoint.id, *cluster, *attributes));
            }
        }
    }
    all
}
