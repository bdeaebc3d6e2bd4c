//! The JSON schema of campaign files, for editors: made from the types, kept in `campaigns/campaign.schema.json`.

use super::Campaign;
use anyhow::Result;

/// Name of the file, beside the campaigns: their first line is `#:schema ./campaign.schema.json`.
pub const FILE: &str = "campaign.schema.json";

/// The schema, as the file has it.
pub fn text() -> Result<String> {
    let schema = schemars::schema_for!(Campaign);
    Ok(serde_json::to_string_pretty(&schema)? + "\n")
}
