//! Prices, what a message costs, which provider is the cheapest, and when a budget is told of.

use proptest::prelude::*;
use voxanne_kernel::Money;
use voxanne_messaging::{
    channel::Provider,
    credits::{MonthSpend, Tariff, UnitPrice, due_alert, least_cost},
};

fn price(micros: i64) -> UnitPrice {
    UnitPrice::from_micros(micros).unwrap()
}

#[test]
fn a_price_below_a_cent_is_rounded_up_over_the_whole_message() {
    let check =
        |micros, units, minor| assert_eq!(price(micros).charge(units).minor(), minor, "{micros} x {units}");
    check(8_300, 1, 1);
    check(8_300, 2, 2);
    check(8_300, 10, 9);
    check(10_000, 3, 3);
    check(120_000, 1, 12);
    check(400, 1, 1);
    check(400, 25, 1);
    check(400, 26, 2);
    check(0, 5, 1);
    check(8_300, 0, 1);
    check(i64::MAX, u32::MAX, i64::MAX / 10_000 + 1);
    assert_eq!(UnitPrice::from_micros(-1), None);
}

#[test]
fn the_cheapest_healthy_provider_goes_first() {
    let tariff = Tariff::new([
        (Provider::Twilio, price(290_000)),
        (Provider::AfricasTalking, price(5_000)),
        (Provider::Termii, price(4_000)),
    ]);
    let order = |healthy: &[(Provider, u32)]| {
        least_cost(&tariff, healthy)
            .into_iter()
            .map(|(provider, cost)| (provider, cost.minor()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        order(&[(Provider::Twilio, 1), (Provider::AfricasTalking, 1), (Provider::Termii, 1)]),
        [(Provider::Termii, 1), (Provider::AfricasTalking, 1), (Provider::Twilio, 29)]
    );
    // Termii counts more pages: the same text is cheaper elsewhere.
    assert_eq!(
        order(&[(Provider::Termii, 3), (Provider::AfricasTalking, 2)]),
        [(Provider::AfricasTalking, 1), (Provider::Termii, 2)]
    );
    assert_eq!(order(&[(Provider::Twilio, 1)]), [(Provider::Twilio, 29)]);
    // Who has no price sends nothing.
    assert_eq!(order(&[(Provider::Resend, 1)]), []);
    // At the same price the order that was given stays.
    let same = Tariff::new([(Provider::Resend, price(400)), (Provider::Mailgun, price(400))]);
    let first = |healthy| least_cost(&same, healthy)[0].0;
    assert_eq!(first(&[(Provider::Mailgun, 1), (Provider::Resend, 1)]), Provider::Mailgun);
    assert_eq!(first(&[(Provider::Resend, 1), (Provider::Mailgun, 1)]), Provider::Resend);
}

#[test]
fn each_share_of_the_budget_is_told_once() {
    let alert = |spent, told_percent| {
        let month = MonthSpend { spent: Money::from_minor(spent), told_percent };
        due_alert(Money::from_minor(1_000), month).map(|alert| alert.percent)
    };
    assert_eq!(alert(499, 0), None);
    assert_eq!(alert(500, 0), Some(50));
    assert_eq!(alert(799, 50), None);
    assert_eq!(alert(800, 50), Some(80));
    assert_eq!(alert(999, 80), None);
    assert_eq!(alert(1_000, 80), Some(100));
    assert_eq!(alert(9_000, 100), None);
    // One large message: only the highest share is told of.
    assert_eq!(alert(1_500, 0), Some(100));
    let whole = MonthSpend { spent: Money::from_minor(i64::MAX), told_percent: 0 };
    assert_eq!(due_alert(Money::from_minor(i64::MAX), whole).map(|alert| alert.percent), Some(100));
}

proptest! {
    #[test]
    fn a_charge_covers_the_price_and_never_by_a_whole_cent(micros in 1_i64..10_000_000, units in 1_u32..100) {
        let minor = price(micros).charge(units).minor();
        prop_assert!(minor * 10_000 >= micros * i64::from(units));
        prop_assert!((minor - 1) * 10_000 < micros * i64::from(units));
    }

    #[test]
    fn over_a_month_at_most_three_alerts_are_told(steps in prop::collection::vec(0_i64..200, 0..100)) {
        let (mut spent, mut told, mut alerts) = (0, 0, Vec::new());
        for step in steps {
            spent += step;
            let month = MonthSpend { spent: Money::from_minor(spent), told_percent: told };
            if let Some(alert) = due_alert(Money::from_minor(1_000), month) {
                told = alert.percent;
                alerts.push(told);
            }
        }
        prop_assert!(alerts.is_sorted_by(|a, b| a < b), "{alerts:?}");
        prop_assert_eq!(spent >= 500, !alerts.is_empty());
        prop_assert_eq!(spent >= 1_000, alerts.last() == Some(&100));
    }
}
