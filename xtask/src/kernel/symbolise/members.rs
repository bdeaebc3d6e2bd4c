//! What lies at a small offset in the structures that a function works with: the likely member of a NULL dereference.

use super::dwarf::{Bytes, Lines};
use anyhow::Result;
use gimli::{
    AttributeValue, DebuggingInformationEntry, EntriesTreeNode, Reader, UnitOffset, UnitRef, constants as dw,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// Structures in structures are followed so deep.
const DEEPEST: usize = 12;
/// Types that stand for others (typedef, const, …) are followed so far; damaged debug information may make them a circle.
const FARTHEST: usize = 64;

/// A member that lies at the offset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Member {
    /// `struct vb2_buffer`.
    pub structure: String,
    /// `planes[0].length`.
    pub member: String,
    /// The parameter or variable of the function that points to such a structure.
    pub through: String,
}

/// Members at `offset` in what the parameters and variables of the function at `address` point to, functions inlined there included.
pub fn at(lines: &Lines, address: u64, offset: u64) -> Result<Vec<Member>> {
    let Some((unit, function)) = lines.function(address)? else {
        return Ok(Vec::new());
    };
    let mut variables = Vec::new();
    let mut tree = unit.header.entries_tree(&unit.abbreviations, Some(function))?;
    collect(unit, tree.root()?, address, &mut variables)?;
    let mut found = BTreeSet::new();
    for (through, of) in variables {
        let Some(structure) = pointee(unit, of)? else {
            continue;
        };
        let Some(name) = structure_name(unit, structure)? else {
            continue;
        };
        if let Some(member) = member(unit, structure, offset, 0)? {
            found.insert(Member {
                structure: name,
                member,
                through,
            });
        }
    }
    Ok(found.into_iter().collect())
}

/// Of several members those whose name stands in the line of source that faulted; all of them, where none does.
pub fn likely(members: &[Member], code: &str) -> Vec<Member> {
    let words: BTreeSet<&str> = code
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .collect();
    let is_named = |member: &&Member| {
        let last = member.member.rsplit('.').next().unwrap_or_default();
        words.contains(last.split('[').next().unwrap_or_default())
    };
    let named: Vec<Member> = members.iter().filter(is_named).cloned().collect();
    if named.is_empty() { members.to_vec() } else { named }
}

/// Parameters and variables with their types, of the function and of what is inlined at the address.
fn collect(
    unit: UnitRef<Bytes>,
    node: EntriesTreeNode<Bytes>,
    address: u64,
    found: &mut Vec<(String, UnitOffset<usize>)>,
) -> Result<()> {
    let mut children = node.children();
    while let Some(child) = children.next()? {
        let entry = child.entry();
        match entry.tag() {
            dw::DW_TAG_formal_parameter | dw::DW_TAG_variable => {
                let name = inherited(unit, entry, dw::DW_AT_name)?;
                let of = inherited(unit, entry, dw::DW_AT_type)?;
                if let (Some(name), Some(AttributeValue::UnitRef(of))) = (name, of) {
                    found.push((text(unit, name)?, of));
                }
            }
            dw::DW_TAG_lexical_block | dw::DW_TAG_inlined_subroutine => {
                let mut ranges = unit.die_ranges(entry)?;
                let mut inside = false;
                while let Some(range) = ranges.next()? {
                    inside |= (range.begin..range.end).contains(&address);
                }
                if inside {
                    collect(unit, child, address, found)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// An attribute of an entry, or of the one that it is an instance of.
fn inherited(
    unit: UnitRef<Bytes>,
    entry: &DebuggingInformationEntry<Bytes>,
    name: gimli::DwAt,
) -> Result<Option<AttributeValue<Bytes>>> {
    if let Some(value) = entry.attr_value(name) {
        return Ok(Some(value));
    }
    match entry.attr_value(dw::DW_AT_abstract_origin) {
        Some(AttributeValue::UnitRef(origin)) => Ok(unit.entry(origin)?.attr_value(name)),
        _ => Ok(None),
    }
}

fn text(unit: UnitRef<Bytes>, value: AttributeValue<Bytes>) -> Result<String> {
    Ok(unit.attr_string(value)?.to_string_lossy()?.into_owned())
}

/// The type behind typedefs and qualifiers.
fn bare(unit: UnitRef<Bytes>, mut of: UnitOffset<usize>) -> Result<Option<UnitOffset<usize>>> {
    for _ in 0..FARTHEST {
        let entry = unit.entry(of)?;
        match entry.tag() {
            dw::DW_TAG_typedef
            | dw::DW_TAG_const_type
            | dw::DW_TAG_volatile_type
            | dw::DW_TAG_restrict_type
            | dw::DW_TAG_atomic_type => match entry.attr_value(dw::DW_AT_type) {
                Some(AttributeValue::UnitRef(next)) => of = next,
                _ => return Ok(None),
            },
            _ => return Ok(Some(of)),
        }
    }
    Ok(None)
}

/// The structure that a pointer points to.
fn pointee(unit: UnitRef<Bytes>, of: UnitOffset<usize>) -> Result<Option<UnitOffset<usize>>> {
    let Some(pointer) = bare(unit, of)? else {
        return Ok(None);
    };
    let entry = unit.entry(pointer)?;
    match (entry.tag(), entry.attr_value(dw::DW_AT_type)) {
        (dw::DW_TAG_pointer_type, Some(AttributeValue::UnitRef(target))) => bare(unit, target),
        _ => Ok(None),
    }
}

/// `struct vb2_buffer`; `None`: it is no structure, or only declared in this unit.
fn structure_name(unit: UnitRef<Bytes>, of: UnitOffset<usize>) -> Result<Option<String>> {
    let entry = unit.entry(of)?;
    let kind = match entry.tag() {
        dw::DW_TAG_structure_type => "struct",
        dw::DW_TAG_union_type => "union",
        _ => return Ok(None),
    };
    if entry.attr_value(dw::DW_AT_byte_size).is_none() {
        return Ok(None);
    }
    let name = match entry.attr_value(dw::DW_AT_name) {
        Some(name) => text(unit, name)?,
        None => "(without a name)".to_string(),
    };
    Ok(Some(format!("{kind} {name}")))
}

/// The path of the member at `offset` within a type: `a.b[2].c`. `None`: nothing lies there.
fn member(unit: UnitRef<Bytes>, of: UnitOffset<usize>, offset: u64, depth: usize) -> Result<Option<String>> {
    let mut tree = unit.header.entries_tree(&unit.abbreviations, Some(of))?;
    let mut children = tree.root()?.children();
    while let Some(child) = children.next()? {
        let entry = child.entry();
        let Some(AttributeValue::UnitRef(of)) = entry.attr_value(dw::DW_AT_type) else {
            continue;
        };
        if entry.tag() != dw::DW_TAG_member {
            continue;
        }
        let start = match entry.attr_value(dw::DW_AT_data_member_location) {
            Some(value) => value.udata_value().unwrap_or(0),
            None => entry
                .attr_value(dw::DW_AT_data_bit_offset)
                .and_then(|bits| bits.udata_value())
                .map_or(0, |bits| bits / 8),
        };
        let size = size_of(unit, of, 0)?;
        if offset < start || offset >= start.saturating_add(size) {
            continue;
        }
        let name = match entry.attr_value(dw::DW_AT_name) {
            Some(name) => text(unit, name)?,
            None => String::new(),
        };
        let inner = within(unit, of, offset.saturating_sub(start), depth.saturating_add(1))?;
        return Ok(Some(joined(name, &inner)));
    }
    Ok(None)
}

/// A member of a structure without a name stands for itself.
fn joined(name: String, inner: &str) -> String {
    match (name.is_empty(), inner) {
        (true, "") => "(without a name)".to_string(),
        (true, inner) => inner.trim_start_matches('.').to_string(),
        (false, inner) => format!("{name}{inner}"),
    }
}

/// What follows the name of a member for an offset inside of it: `.b`, `[2].c`, or nothing.
fn within(unit: UnitRef<Bytes>, of: UnitOffset<usize>, offset: u64, depth: usize) -> Result<String> {
    let Some(of) = bare(unit, of)?.filter(|_| depth < DEEPEST) else {
        return Ok(String::new());
    };
    let entry = unit.entry(of)?;
    match (entry.tag(), entry.attr_value(dw::DW_AT_type)) {
        (dw::DW_TAG_structure_type | dw::DW_TAG_union_type, _) => {
            Ok(member(unit, of, offset, depth)?.map_or(String::new(), |inner| format!(".{inner}")))
        }
        (dw::DW_TAG_array_type, Some(AttributeValue::UnitRef(element))) => {
            let size = size_of(unit, element, 0)?.max(1);
            let within_it = offset.checked_rem(size).unwrap_or(0);
            let inner = within(unit, element, within_it, depth.saturating_add(1))?;
            Ok(format!("[{}]{inner}", offset.checked_div(size).unwrap_or(0)))
        }
        _ => Ok(String::new()),
    }
}

/// Bytes of a type; 0 where it does not say (an array without bounds).
fn size_of(unit: UnitRef<Bytes>, of: UnitOffset<usize>, depth: usize) -> Result<u64> {
    let Some(of) = bare(unit, of)?.filter(|_| depth < DEEPEST) else {
        return Ok(0);
    };
    let entry = unit.entry(of)?;
    if let Some(size) = entry
        .attr_value(dw::DW_AT_byte_size)
        .and_then(|size| size.udata_value())
    {
        return Ok(size);
    }
    match (entry.tag(), entry.attr_value(dw::DW_AT_type)) {
        (dw::DW_TAG_pointer_type, _) => Ok(u64::from(unit.encoding().address_size)),
        (dw::DW_TAG_array_type, Some(AttributeValue::UnitRef(element))) => {
            let mut size = size_of(unit, element, depth.saturating_add(1))?;
            let mut tree = unit.header.entries_tree(&unit.abbreviations, Some(of))?;
            let mut children = tree.root()?.children();
            while let Some(child) = children.next()? {
                let range = child.entry();
                let number = |name| range.attr_value(name).and_then(|value| value.udata_value());
                let count = number(dw::DW_AT_count)
                    .or_else(|| number(dw::DW_AT_upper_bound).map(|last| last.saturating_add(1)))
                    .unwrap_or(0);
                size = size.saturating_mul(count);
            }
            Ok(size)
        }
        _ => Ok(0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_faulted_names_the_member() {
        let member = |structure: &str, member: &str| Member {
            structure: structure.into(),
            member: member.into(),
            through: "x".into(),
        };
        let all = [
            member("struct a", "list.next"),
            member("struct b", "planes[1].base"),
        ];
        assert_eq!(likely(&all, "p = b->planes[1].base + 1;"), all[1..]);
        assert_eq!(likely(&all, "return baseline;"), all);
    }
}
