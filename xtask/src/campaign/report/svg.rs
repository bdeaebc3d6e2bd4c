//! A picture of the web page: a measured time beside the estimated one. Colours are the page's
//! classes.

use crate::campaign::record::RowRecord;
use maud::{Markup, html};

/// A measured time as a bar, the estimated one as a mark in it; both as parts of `longest` seconds.
pub fn measured(row: &RowRecord, longest: f64) -> Markup {
    let part = |seconds: f64| (100.0 * seconds.max(0.0) / longest.max(1.0)).min(100.0);
    let class = if row.took_s > row.estimated_s * 1.2 && row.estimated_s > 0.0 {
        "over"
    } else {
        "within"
    };
    html! {
        svg.measured viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true" {
            rect.track x="0" y="2" width="100" height="6" {}
            rect.(class) x="0" y="2" width=(at(part(row.took_s).max(0.5))) height="6" {}
            line.mark x1=(at(part(row.estimated_s))) x2=(at(part(row.estimated_s))) y1="0" y2="10" {}
        }
    }
}

/// A coordinate: two decimals are enough for any screen.
fn at(value: f64) -> String {
    format!("{value:.2}")
}

#[cfg(test)]
mod tests {
    use super::super::tests::regression;
    use super::*;

    #[test]
    fn a_row_that_took_longer_than_thought_stands_out() {
        let mut row = regression();
        let bar = measured(&row, 200.0).into_string();
        assert!(
            bar.contains("class=\"within\" x=\"0\" y=\"2\" width=\"32.50\""),
            "{bar}"
        );
        assert!(bar.contains("x1=\"60.00\""), "{bar}");
        row.took_s = 1e9;
        let bar = measured(&row, 200.0).into_string();
        assert!(
            bar.contains("class=\"over\"") && bar.contains("width=\"100.00\""),
            "{bar}"
        );
    }
}
