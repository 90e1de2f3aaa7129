//! What is to be looked at, as it is typed.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use usp_mapping::mapping::{BusAddress, ModbusTable};

/// Most hosts of one scan.
const MAX_HOSTS: u32 = 1024;

/// Registers of one table, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Registers {
    pub(super) table: ModbusTable,
    pub(super) first: u16,
    pub(super) last: u16,
}

/// `1-247`, `1,3,10-20`.
pub(super) fn units(text: &str) -> Result<Vec<u8>, String> {
    let mut units = Vec::new();
    for part in text.split(',') {
        let (first, last) = span::<u8>(part)
            .ok_or_else(|| format!("`{part}` is no unit; units are 0 to 255, such as 1-247"))?;
        units.extend((first..=last).filter(|unit| !units.contains(unit)).collect::<Vec<_>>());
    }
    Ok(units)
}

/// `holding:0-99,input:30`.
pub(super) fn registers(text: &str) -> Result<Vec<Registers>, String> {
    let one = |part: &str| {
        let (table, addresses) = part.split_once(':')?;
        let table = match table {
            "coil" => ModbusTable::Coil,
            "discrete" => ModbusTable::Discrete,
            "holding" => ModbusTable::Holding,
            "input" => ModbusTable::Input,
            _ => return None,
        };
        addresses_of(addresses).map(|(first, last)| Registers { table, first, last })
    };
    let wrong = |part: &str| {
        format!(
            "`{part}` is no range of registers; write holding:0-99 or holding:0x3100-0x3110 (or input, coil, discrete)"
        )
    };
    text.split(',').map(|part| one(part).ok_or_else(|| wrong(part))).collect()
}

/// `0-99`, `30` or `0x3100-0x3110`, both ends included.
fn addresses_of(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.trim().split_once('-').unwrap_or((text.trim(), text.trim()));
    let address = |text: &str| match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        Some(digits) => u16::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    };
    Some((address(first)?, address(last)?)).filter(|(first, last)| first <= last)
}

/// `300ms`, `1s`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let number = |digits: &str| digits.parse::<u32>().ok().filter(|number| *number > 0);
    let time = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => number(digits).map(u64::from).map(Duration::from_millis),
        (None, Some(digits)) => number(digits).map(u64::from).map(Duration::from_secs),
        (None, None) => None,
    };
    time.filter(|time| *time <= Duration::from_secs(60))
        .ok_or_else(|| format!("`{text}` is no time up to 60s, such as 300ms"))
}

/// A name or an address with its port, `usual` unless it is given; a range of addresses by `-` or as CIDR.
pub(super) fn hosts(text: &str, usual: u16) -> Result<Vec<BusAddress>, String> {
    let (text, prefix) = match text.split_once('/') {
        // The port may stand on either side: 192.0.2.0:1502/24, 192.0.2.0/24:1502.
        Some((host, prefix)) => match prefix.split_once(':') {
            Some((prefix, port)) => (format!("{host}:{port}"), Some(prefix.to_owned())),
            None => (host.to_owned(), Some(prefix.to_owned())),
        },
        None => (text.to_owned(), None),
    };
    let (host, port) = with_port(&text, usual)
        .ok_or_else(|| format!("`{text}` is no host; write 192.168.1.20, plc.lan:502 or 192.168.1.0/24"))?;
    if let Some(prefix) = prefix {
        return network(&host, &prefix, port);
    }
    if let Some((first, last)) = host.split_once('-')
        && let Ok(first) = first.parse::<Ipv4Addr>()
    {
        let last = match last.parse::<u8>() {
            Ok(last) => {
                let [a, b, c, _] = first.octets();
                Some(Ipv4Addr::new(a, b, c, last))
            }
            Err(_) => last.parse().ok(),
        };
        let last = last
            .filter(|last| *last >= first)
            .ok_or_else(|| format!("`{host}` is no range; write 192.168.1.10-40"))?;
        return addresses(first.into(), last.into(), port);
    }
    Ok(vec![match host.parse::<IpAddr>() {
        Ok(address) => BusAddress::Socket(SocketAddr::new(address, port)),
        Err(_) => BusAddress::Host(host, port),
    }])
}

fn with_port(text: &str, usual: u16) -> Option<(String, u16)> {
    if let Ok(socket) = text.parse::<SocketAddr>() {
        return Some((socket.ip().to_string(), socket.port())).filter(|(_, port)| *port != 0);
    }
    if text.parse::<IpAddr>().is_ok() {
        return Some((text.to_owned(), usual));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok().filter(|port| *port != 0)?),
        None => (text, usual),
    };
    let plain =
        !host.is_empty() && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_'));
    plain.then(|| (host.to_owned(), port))
}

fn network(host: &str, prefix: &str, port: u16) -> Result<Vec<BusAddress>, String> {
    let wrong = || format!("`{host}/{prefix}` is no network; write 192.168.1.0/24");
    let address: Ipv4Addr = host.parse().map_err(|_| wrong())?;
    let prefix: u32 = prefix.parse().ok().filter(|prefix| *prefix <= 32).ok_or_else(wrong)?;
    let size = 1_u64 << (32 - prefix);
    let first = u32::from(address) & u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
    let last = first | u32::try_from(size - 1).unwrap_or(u32::MAX);
    // The first and the last of a network are no hosts.
    let ends = u32::from(size > 2);
    addresses(first.saturating_add(ends), last.saturating_sub(ends), port)
}

fn addresses(first: u32, last: u32, port: u16) -> Result<Vec<BusAddress>, String> {
    let count = last.saturating_sub(first).saturating_add(1);
    if count > MAX_HOSTS {
        return Err(format!("{count} hosts are too many: at most {MAX_HOSTS} in one scan"));
    }
    Ok((first..=last)
        .map(|address| BusAddress::Socket(SocketAddr::new(Ipv4Addr::from(address).into(), port)))
        .collect())
}

fn span<T: std::str::FromStr + PartialOrd + Copy>(text: &str) -> Option<(T, T)> {
    let (first, last) = text.trim().split_once('-').unwrap_or((text.trim(), text.trim()));
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registers_may_be_hexadecimal() {
        let ends = |text| registers(text).map(|found| (found[0].first, found[0].last));
        assert_eq!(ends("input:0x3100-0x3110"), Ok((0x3100, 0x3110)));
        assert_eq!(ends("holding:7"), Ok((7, 7)));
        assert!(ends("holding:0x-9").is_err() && ends("holding:9-8").is_err());
    }

    #[test]
    fn hosts_are_one_or_a_bounded_range() {
        let texts = |text: &str| {
            hosts(text, 502).map(|hosts| hosts.iter().map(BusAddress::to_string).collect::<Vec<_>>())
        };
        assert_eq!(texts("192.0.2.7").unwrap(), ["192.0.2.7:502"]);
        assert_eq!(texts("plc.lan:1502").unwrap(), ["plc.lan:1502"]);
        assert_eq!(texts("my-plc").unwrap(), ["my-plc:502"]);
        assert_eq!(
            texts("192.0.2.7-9:5020").unwrap(),
            ["192.0.2.7:5020", "192.0.2.8:5020", "192.0.2.9:5020"]
        );
        assert_eq!(texts("192.0.2.9/30").unwrap(), ["192.0.2.9:502", "192.0.2.10:502"]);
        assert_eq!(texts("192.0.2.8:99/31").unwrap(), ["192.0.2.8:99", "192.0.2.9:99"]);
        assert_eq!(texts("192.0.2.8/32:99").unwrap(), ["192.0.2.8:99"]);
        assert_eq!(texts("10.0.0.0/22").unwrap().len(), 1022);
        for (text, part) in [
            ("10.0.0.0/8", "too many"),
            ("0.0.0.0/0", "too many"),
            ("10.0.0.9-3", "no range"),
            ("a b", "no host"),
            ("x/24", "no network"),
            ("1.2.3.4:0", "no host"),
        ] {
            assert!(texts(text).unwrap_err().contains(part), "{text}");
        }
    }

    #[test]
    fn units_registers_and_times() {
        assert_eq!(units("3,1-2,2").unwrap(), [3, 1, 2]);
        assert!(units("5-1").is_err() && units("300").is_err() && units("").is_err());
        let both = registers("holding:0-9,coil:3").unwrap();
        assert_eq!(
            both,
            [
                Registers { table: ModbusTable::Holding, first: 0, last: 9 },
                Registers { table: ModbusTable::Coil, first: 3, last: 3 }
            ]
        );
        assert!(registers("stack:1").is_err() && registers("holding").is_err());
        assert_eq!(time("300ms"), Ok(Duration::from_millis(300)));
        assert!(time("0s").is_err() && time("5").is_err() && time("5h").is_err());
    }
}
