//! Who uses the board, and when nobody does: the keys of a campaign file about people.

use anyhow::{Result, bail};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// Who uses the board, and what is done about it before a test boot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct People {
    /// Hours in which nobody uses the board: it is rebooted then without looking who is logged in. `22:00-07:00`, this machine's clock.
    pub quiet_hours: Option<QuietHours>,
    /// Minutes without a key or a pointer after which a session counts as nobody's.
    pub idle_min: u32,
    /// What is done before a test boot when somebody is at work on the board.
    pub in_use: InUse,
    /// Minutes to wait for that at most.
    pub in_use_wait_min: u32,
    /// Minutes to wait for a person to log in, in a step with `login = true`.
    pub login_wait_min: u32,
}

impl Default for People {
    fn default() -> Self {
        People {
            quiet_hours: None,
            idle_min: 15,
            in_use: InUse::Wait,
            in_use_wait_min: 60,
            login_wait_min: 30,
        }
    }
}

/// What is done when somebody is at work on the board and a test boot is next.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum InUse {
    /// Wait until the session is idle or gone, or the quiet hours begin.
    #[default]
    Wait,
    /// Go on, and say who was there. `--yes` means this.
    Go,
}

/// Hours of a day, from one minute to before another; over midnight where the second is the smaller one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct QuietHours {
    /// Minute of the day.
    from: u16,
    /// Minute of the day.
    to: u16,
}

impl QuietHours {
    /// Whether a minute of the day (0 to 1439) is within.
    pub fn contains(self, minute: u16) -> bool {
        if self.from <= self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
    }
}

impl FromStr for QuietHours {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let minute = |text: &str| -> Option<u16> {
            let (hour, minute) = text.trim().split_once(':')?;
            let number = |text: &str, below: u16| -> Option<u16> {
                let digits = matches!(text.len(), 1 | 2) && text.chars().all(|c| c.is_ascii_digit());
                text.parse().ok().filter(|number| digits && *number < below)
            };
            number(hour, 24)?
                .checked_mul(60)?
                .checked_add(number(minute, 60)?)
        };
        match text.split_once('-').map(|(from, to)| (minute(from), minute(to))) {
            Some((Some(from), Some(to))) if from != to => Ok(QuietHours { from, to }),
            _ => bail!("quiet hours are written as 22:00-07:00, and {text:?} is not that"),
        }
    }
}

impl fmt::Display for QuietHours {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let (from, to) = (self.from, self.to);
        write!(
            f,
            "{:02}:{:02}-{:02}:{:02}",
            from / 60,
            from % 60,
            to / 60,
            to % 60
        )
    }
}

impl TryFrom<String> for QuietHours {
    type Error = anyhow::Error;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl From<QuietHours> for String {
    fn from(hours: QuietHours) -> String {
        hours.to_string()
    }
}

impl JsonSchema for QuietHours {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "QuietHours".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({
            "type": "string",
            "description": "Hours of a day: `22:00-07:00`.",
            "pattern": "^[0-2]?[0-9]:[0-5][0-9]-[0-2]?[0-9]:[0-5][0-9]$",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hours_over_midnight_are_understood() {
        let night: QuietHours = "22:00-07:00".parse().unwrap();
        let at = |hour: u16, minute: u16| night.contains(60 * hour + minute);
        assert!(at(22, 0) && at(23, 59) && at(0, 0) && at(6, 59));
        assert!(!at(7, 0) && !at(21, 59) && !at(12, 0));
        let noon: QuietHours = "12:00-13:30".parse().unwrap();
        assert!(noon.contains(720) && noon.contains(809) && !noon.contains(810));
        assert_eq!(night.to_string(), "22:00-07:00");
    }

    #[test]
    fn what_is_no_hour_is_refused() {
        for text in [
            "",
            "22-7",
            "24:00-07:00",
            "22:60-07:00",
            "7:00-7:00",
            "+7:00-8:00",
            "22:00",
        ] {
            assert!(text.parse::<QuietHours>().is_err(), "{text}");
        }
    }
}
