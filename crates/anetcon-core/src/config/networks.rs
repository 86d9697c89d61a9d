//! `[networks]`: addresses and CIDRs, merged per namespace.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, ip_mask_to_prefix};

use super::diagnostic::{Diagnostic, Errors};
use super::raw::{Placed, Text};
use super::suggest::quote;
use crate::netns::{NetnsName, ROOT};

/// The longest file name (`NAME_MAX`), which a namespace's name is.
const MAX_FILE_NAME: usize = 255;

/// The name of a namespace as a key of `[networks]`; `default` is the root namespace.
pub(super) fn namespace(text: &Text) -> Result<String, Diagnostic> {
    let name = &text.value;
    let refuse = |reason: &str, help: &str| {
        let message = format!("`networks`: {} {reason}", quote(name));
        Err(Diagnostic::new(message, text.span.clone()).help(help))
    };
    if name.len() > MAX_FILE_NAME {
        let message = format!("`networks`: this name has {} bytes", name.len());
        let help =
            format!("a namespace is a file in a folder; its name has at most {MAX_FILE_NAME}");
        return Err(Diagnostic::new(message, text.span.clone()).help(help));
    }
    if name != ROOT && NetnsName::named(name).is_none() {
        return refuse(
            "cannot be the name of a namespace",
            "use the name that `ip netns list` shows, or `default` for the root namespace",
        );
    }
    if name.contains(['^', '$', '*', '?', '|', '\\', '(', '[', '{']) {
        return refuse(
            "looks like a regular expression, but the keys here are plain names",
            "name each namespace whose networks are limited; one not named is audited in full",
        );
    }
    Ok(name.clone())
}

/// The networks of one namespace: sorted, merged and without host bits.
pub(super) fn networks(name: &str, list: &Placed<Vec<Text>>, errors: &mut Errors) -> Vec<IpNet> {
    if list.value.is_empty() {
        let message =
            format!("`networks`: the list of {} is empty, which would audit nothing", quote(name));
        errors.push(Diagnostic::new(message, list.span.clone()).help(
            "remove the key to audit every network of this namespace, or take the namespace out of `namespaces`",
        ));
    }
    let networks: Vec<IpNet> =
        list.value.iter().filter_map(|text| errors.keep(network(text))).collect();
    // Host bits go, overlapping and adjacent networks become one, IPv4 comes first.
    IpNet::aggregate(&networks)
}

fn network(text: &Text) -> Result<IpNet, Diagnostic> {
    let value = text.value.as_str();
    let (address, digits) = match value.split_once('/') {
        Some((address, digits)) => (address, Some(digits)),
        None => (value, None),
    };
    let address = address_of(text, address)?;
    match digits {
        None => Ok(IpNet::from(address)),
        Some(digits) => digits
            .parse::<u8>()
            .ok()
            .filter(|_| digits.bytes().all(|digit| digit.is_ascii_digit()))
            .and_then(|length| IpNet::new(address, length).ok())
            .ok_or_else(|| bad_length(text, address, digits)),
    }
}

fn address_of(text: &Text, address: &str) -> Result<IpAddr, Diagnostic> {
    let place = text.part(0..address.len());
    let Ok(parsed) = address.parse::<IpAddr>() else {
        let message = format!("`networks`: {} is no IP address", quote(address));
        let help = "write an address or a network, such as 10.0.0.0/8 or fd00::/8";
        return Err(Diagnostic::new(message, place).help(help));
    };
    match parsed {
        IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some() => {
            let message = format!("`networks`: no packet carries the IPv4-mapped address {v6}");
            Err(Diagnostic::new(message, place).help("write the IPv4 address itself"))
        }
        _ => Ok(parsed),
    }
}

fn bad_length(text: &Text, address: IpAddr, digits: &str) -> Diagnostic {
    let (family, longest) = if address.is_ipv4() { ("IPv4", 32) } else { ("IPv6", 128) };
    let end = text.value.len();
    let place = text.part(end - digits.len()..end);
    let message =
        format!("`networks`: {} is no prefix length of an {family} network", quote(digits));
    let help = match digits.parse::<Ipv4Addr>().ok().and_then(|m| ip_mask_to_prefix(m.into()).ok())
    {
        Some(length) if address.is_ipv4() => format!("this netmask is /{length}"),
        _ => format!("it is a number from 0 to {longest}"),
    };
    Diagnostic::new(message, place).help(help)
}
