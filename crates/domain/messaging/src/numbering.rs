//! Where a phone number is at home, as far as its digits tell: the country, for prices, and the zone, for quiet hours.
//!
//! People move and keep their numbers, so this is a guess, and the best there is. Where a number may belong to either of
//! two zones both are named; where a country has many and its numbers do not tell, none is.

use voxanne_kernel::{E164, Zone, place::Country};

/// The country of a number; `None` for codes that are no country's.
pub fn country_of(number: &E164) -> Option<Country> {
    place_of(number)?.0.parse().ok()
}

/// Whether a number may be one of this country's. It is not where the digits say that it is another's; they do not say
/// of every small country that shares a neighbour's code.
pub fn may_be_of(number: &E164, country: &Country) -> bool {
    let digits = number.as_str().trim_start_matches('+');
    let (is_north_american, is_elsewhere) = (
        NORTH_AMERICA.iter().any(|(known, ..)| *known == country.as_str()),
        COUNTRIES.iter().any(|(_, known, _)| *known == country.as_str()),
    );
    let of_country = |known: &str| known == country.as_str();
    match digits.strip_prefix('1').map(area_of) {
        // Numbers of services, and areas that were opened after this was written, are of the whole plan.
        Some(None | Some(("US", "", _))) => is_north_american || !is_elsewhere,
        Some(Some((known, ..))) => of_country(known) || !(is_north_american || is_elsewhere),
        None => {
            place_of(number).is_some_and(|(known, _)| of_country(known))
                || !(is_north_american || is_elsewhere)
        }
    }
}

/// The zones that somebody with this number may live in; empty where the number does not tell.
pub fn zones_of(number: &E164) -> Vec<Zone> {
    let names = place_of(number).map_or("", |(_, zones)| zones);
    names.split_whitespace().filter_map(|name| Zone::new(name).ok()).collect()
}

/// The zones in which quiet hours count for a recipient: the number's own, else the organization's.
pub fn zones_for(number: Option<&E164>, organization: &Zone) -> Vec<Zone> {
    let own = number.map(zones_of).unwrap_or_default();
    if own.is_empty() { vec![organization.clone()] } else { own }
}

fn place_of(number: &E164) -> Option<(&'static str, &'static str)> {
    let digits = number.as_str().trim_start_matches('+');
    match digits.strip_prefix('1') {
        Some(national) => Some(north_american(national)),
        None => (1..=4).rev().find_map(|length| {
            let code = digits.get(..length)?;
            let at = COUNTRIES.binary_search_by_key(&code, |(code, ..)| code).ok()?;
            let (_, country, zones) = COUNTRIES[at];
            Some((country, zones))
        }),
    }
}

fn north_american(national: &str) -> (&'static str, &'static str) {
    // An area that was opened after this was written is most likely in the United States.
    area_of(national).map_or(("US", ""), |(country, zones, _)| (country, zones))
}

fn area_of(national: &str) -> Option<(&'static str, &'static str, &'static str)> {
    let area = national.get(..3).unwrap_or_default();
    let of = |(_, _, areas): &&(&str, &str, &str)| areas.split_whitespace().any(|known| known == area);
    NORTH_AMERICA.iter().find(of).copied()
}

/// Country, zones, area codes. Those that span two zones name both.
const NORTH_AMERICA: &[(&str, &str, &str)] = &[
    (
        "US",
        "America/New_York",
        "201 202 203 207 212 215 216 220 223 227 229 231 234 239 240 248 252 260 267 272 276 283 301 302 304 305 \
         313 315 317 321 326 330 332 336 339 347 351 352 357 363 380 386 401 404 407 410 412 413 419 434 440 \
         443 445 448 463 470 472 475 478 484 508 513 516 517 518 540 551 561 567 570 571 582 585 586 594 603 607 609 610 \
         614 616 617 624 631 640 645 646 656 667 678 679 680 681 686 689 703 704 706 716 717 718 724 727 732 734 740 743 \
         754 757 762 765 770 771 772 774 781 786 802 803 804 810 813 814 821 826 828 835 838 839 843 845 848 854 856 857 \
         859 860 862 863 864 865 878 904 908 910 912 914 917 919 929 934 937 938 941 943 947 948 954 959 973 978 980 \
         984 989",
    ),
    (
        "US",
        "America/Chicago",
        "205 210 214 217 218 224 225 228 251 254 256 262 274 281 309 312 314 316 318 319 320 325 331 334 337 346 353 361 \
         402 405 409 414 417 430 432 447 464 469 479 501 504 507 512 515 531 534 539 557 563 572 573 580 601 608 612 615 \
         618 620 629 630 636 641 651 659 660 662 682 708 712 713 715 726 730 731 737 763 769 773 779 806 815 816 817 830 \
         832 847 861 870 872 901 903 913 918 920 936 940 945 952 956 972 975 979 985",
    ),
    ("US", "America/Denver", "303 307 385 406 435 505 575 719 720 801 970 983"),
    ("US", "America/Phoenix", "480 520 602 623 928"),
    (
        "US",
        "America/Los_Angeles",
        "206 209 213 253 279 310 323 341 350 360 369 408 415 424 425 442 503 509 510 530 559 562 564 619 626 628 650 657 \
         661 669 702 707 714 725 738 747 760 775 805 818 820 831 837 840 858 909 916 925 949 951 971",
    ),
    ("US", "America/Anchorage", "907"),
    ("US", "Pacific/Honolulu", "808"),
    ("US", "America/New_York America/Chicago", "219 270 364 423 574 606 812 850 906 930 931"),
    ("US", "America/Chicago America/Denver", "308 605 701 785 915"),
    ("US", "America/Denver America/Los_Angeles", "208 458 541 986"),
    ("US", "", "600 700 710 800 822 833 844 855 866 877 888 900"),
    ("CA", "America/Toronto", "226 249 289 343 365 382 416 437 519 548 613 647 683 705 742 753 905"),
    ("CA", "America/Toronto America/Winnipeg", "807"),
    ("CA", "America/Toronto", "263 354 367 418 438 450 468 514 579 581 819 873"),
    ("CA", "America/Winnipeg", "204 431 584"),
    ("CA", "America/Regina", "306 474 639"),
    ("CA", "America/Edmonton", "368 403 587 780 825"),
    ("CA", "America/Vancouver", "236 250 257 604 672 778"),
    ("CA", "America/Halifax", "428 506 782 902"),
    ("CA", "America/St_Johns America/Halifax", "709 879"),
    ("CA", "", "867"),
    ("PR", "America/Puerto_Rico", "787 939"),
    ("VI", "America/St_Thomas", "340"),
    ("GU", "Pacific/Guam", "671"),
    ("MP", "Pacific/Saipan", "670"),
    ("AS", "Pacific/Pago_Pago", "684"),
    ("BS", "America/Nassau", "242"),
    ("BB", "America/Barbados", "246"),
    ("AI", "America/Anguilla", "264"),
    ("AG", "America/Antigua", "268"),
    ("VG", "America/Tortola", "284"),
    ("KY", "America/Cayman", "345"),
    ("BM", "Atlantic/Bermuda", "441"),
    ("GD", "America/Grenada", "473"),
    ("TC", "America/Grand_Turk", "649"),
    ("JM", "America/Jamaica", "658 876"),
    ("MS", "America/Montserrat", "664"),
    ("SX", "America/Lower_Princes", "721"),
    ("LC", "America/St_Lucia", "758"),
    ("DM", "America/Dominica", "767"),
    ("VC", "America/St_Vincent", "784"),
    ("DO", "America/Santo_Domingo", "809 829 849"),
    ("TT", "America/Port_of_Spain", "868"),
    ("KN", "America/St_Kitts", "869"),
];

/// Calling code, country, zone; sorted by code. A country of many zones has none, unless its numbers tell.
const COUNTRIES: &[(&str, &str, &str)] = &[
    ("20", "EG", "Africa/Cairo"),
    ("211", "SS", "Africa/Juba"),
    ("212", "MA", "Africa/Casablanca"),
    ("213", "DZ", "Africa/Algiers"),
    ("216", "TN", "Africa/Tunis"),
    ("218", "LY", "Africa/Tripoli"),
    ("220", "GM", "Africa/Banjul"),
    ("221", "SN", "Africa/Dakar"),
    ("222", "MR", "Africa/Nouakchott"),
    ("223", "ML", "Africa/Bamako"),
    ("224", "GN", "Africa/Conakry"),
    ("225", "CI", "Africa/Abidjan"),
    ("226", "BF", "Africa/Ouagadougou"),
    ("227", "NE", "Africa/Niamey"),
    ("228", "TG", "Africa/Lome"),
    ("229", "BJ", "Africa/Porto-Novo"),
    ("230", "MU", "Indian/Mauritius"),
    ("231", "LR", "Africa/Monrovia"),
    ("232", "SL", "Africa/Freetown"),
    ("233", "GH", "Africa/Accra"),
    ("234", "NG", "Africa/Lagos"),
    ("235", "TD", "Africa/Ndjamena"),
    ("236", "CF", "Africa/Bangui"),
    ("237", "CM", "Africa/Douala"),
    ("238", "CV", "Atlantic/Cape_Verde"),
    ("239", "ST", "Africa/Sao_Tome"),
    ("240", "GQ", "Africa/Malabo"),
    ("241", "GA", "Africa/Libreville"),
    ("242", "CG", "Africa/Brazzaville"),
    ("243", "CD", "Africa/Kinshasa Africa/Lubumbashi"),
    ("244", "AO", "Africa/Luanda"),
    ("245", "GW", "Africa/Bissau"),
    ("246", "IO", "Indian/Chagos"),
    ("248", "SC", "Indian/Mahe"),
    ("249", "SD", "Africa/Khartoum"),
    ("250", "RW", "Africa/Kigali"),
    ("251", "ET", "Africa/Addis_Ababa"),
    ("252", "SO", "Africa/Mogadishu"),
    ("253", "DJ", "Africa/Djibouti"),
    ("254", "KE", "Africa/Nairobi"),
    ("255", "TZ", "Africa/Dar_es_Salaam"),
    ("256", "UG", "Africa/Kampala"),
    ("257", "BI", "Africa/Bujumbura"),
    ("258", "MZ", "Africa/Maputo"),
    ("260", "ZM", "Africa/Lusaka"),
    ("261", "MG", "Indian/Antananarivo"),
    ("262", "RE", "Indian/Reunion"),
    ("263", "ZW", "Africa/Harare"),
    ("264", "NA", "Africa/Windhoek"),
    ("265", "MW", "Africa/Blantyre"),
    ("266", "LS", "Africa/Maseru"),
    ("267", "BW", "Africa/Gaborone"),
    ("268", "SZ", "Africa/Mbabane"),
    ("269", "KM", "Indian/Comoro"),
    ("27", "ZA", "Africa/Johannesburg"),
    ("290", "SH", "Atlantic/St_Helena"),
    ("291", "ER", "Africa/Asmara"),
    ("297", "AW", "America/Aruba"),
    ("298", "FO", "Atlantic/Faroe"),
    ("299", "GL", "America/Nuuk"),
    ("30", "GR", "Europe/Athens"),
    ("31", "NL", "Europe/Amsterdam"),
    ("32", "BE", "Europe/Brussels"),
    ("33", "FR", "Europe/Paris"),
    ("34", "ES", "Europe/Madrid Atlantic/Canary"),
    ("350", "GI", "Europe/Gibraltar"),
    ("351", "PT", "Europe/Lisbon Atlantic/Azores"),
    ("352", "LU", "Europe/Luxembourg"),
    ("353", "IE", "Europe/Dublin"),
    ("354", "IS", "Atlantic/Reykjavik"),
    ("355", "AL", "Europe/Tirane"),
    ("356", "MT", "Europe/Malta"),
    ("357", "CY", "Asia/Nicosia"),
    ("358", "FI", "Europe/Helsinki"),
    ("359", "BG", "Europe/Sofia"),
    ("36", "HU", "Europe/Budapest"),
    ("370", "LT", "Europe/Vilnius"),
    ("371", "LV", "Europe/Riga"),
    ("372", "EE", "Europe/Tallinn"),
    ("373", "MD", "Europe/Chisinau"),
    ("374", "AM", "Asia/Yerevan"),
    ("375", "BY", "Europe/Minsk"),
    ("376", "AD", "Europe/Andorra"),
    ("377", "MC", "Europe/Monaco"),
    ("378", "SM", "Europe/San_Marino"),
    ("380", "UA", "Europe/Kyiv"),
    ("381", "RS", "Europe/Belgrade"),
    ("382", "ME", "Europe/Podgorica"),
    ("383", "XK", "Europe/Belgrade"),
    ("385", "HR", "Europe/Zagreb"),
    ("386", "SI", "Europe/Ljubljana"),
    ("387", "BA", "Europe/Sarajevo"),
    ("389", "MK", "Europe/Skopje"),
    ("39", "IT", "Europe/Rome"),
    ("40", "RO", "Europe/Bucharest"),
    ("41", "CH", "Europe/Zurich"),
    ("420", "CZ", "Europe/Prague"),
    ("421", "SK", "Europe/Bratislava"),
    ("423", "LI", "Europe/Vaduz"),
    ("43", "AT", "Europe/Vienna"),
    ("44", "GB", "Europe/London"),
    ("45", "DK", "Europe/Copenhagen"),
    ("46", "SE", "Europe/Stockholm"),
    ("47", "NO", "Europe/Oslo"),
    ("48", "PL", "Europe/Warsaw"),
    ("49", "DE", "Europe/Berlin"),
    ("500", "FK", "Atlantic/Stanley"),
    ("501", "BZ", "America/Belize"),
    ("502", "GT", "America/Guatemala"),
    ("503", "SV", "America/El_Salvador"),
    ("504", "HN", "America/Tegucigalpa"),
    ("505", "NI", "America/Managua"),
    ("506", "CR", "America/Costa_Rica"),
    ("507", "PA", "America/Panama"),
    ("508", "PM", "America/Miquelon"),
    ("509", "HT", "America/Port-au-Prince"),
    ("51", "PE", "America/Lima"),
    ("52", "MX", ""),
    ("53", "CU", "America/Havana"),
    ("54", "AR", "America/Argentina/Buenos_Aires"),
    ("55", "BR", ""),
    ("56", "CL", "America/Santiago"),
    ("57", "CO", "America/Bogota"),
    ("58", "VE", "America/Caracas"),
    ("590", "GP", "America/Guadeloupe"),
    ("591", "BO", "America/La_Paz"),
    ("592", "GY", "America/Guyana"),
    ("593", "EC", "America/Guayaquil Pacific/Galapagos"),
    ("594", "GF", "America/Cayenne"),
    ("595", "PY", "America/Asuncion"),
    ("596", "MQ", "America/Martinique"),
    ("597", "SR", "America/Paramaribo"),
    ("598", "UY", "America/Montevideo"),
    ("599", "CW", "America/Curacao"),
    ("60", "MY", "Asia/Kuala_Lumpur"),
    ("61", "AU", ""),
    ("62", "ID", ""),
    ("63", "PH", "Asia/Manila"),
    ("64", "NZ", "Pacific/Auckland"),
    ("65", "SG", "Asia/Singapore"),
    ("66", "TH", "Asia/Bangkok"),
    ("670", "TL", "Asia/Dili"),
    ("672", "NF", "Pacific/Norfolk"),
    ("673", "BN", "Asia/Brunei"),
    ("674", "NR", "Pacific/Nauru"),
    ("675", "PG", "Pacific/Port_Moresby"),
    ("676", "TO", "Pacific/Tongatapu"),
    ("677", "SB", "Pacific/Guadalcanal"),
    ("678", "VU", "Pacific/Efate"),
    ("679", "FJ", "Pacific/Fiji"),
    ("680", "PW", "Pacific/Palau"),
    ("681", "WF", "Pacific/Wallis"),
    ("682", "CK", "Pacific/Rarotonga"),
    ("683", "NU", "Pacific/Niue"),
    ("685", "WS", "Pacific/Apia"),
    ("686", "KI", ""),
    ("687", "NC", "Pacific/Noumea"),
    ("688", "TV", "Pacific/Funafuti"),
    ("689", "PF", "Pacific/Tahiti"),
    ("690", "TK", "Pacific/Fakaofo"),
    ("691", "FM", ""),
    ("692", "MH", "Pacific/Majuro"),
    ("7", "RU", ""),
    ("76", "KZ", "Asia/Almaty"),
    ("77", "KZ", "Asia/Almaty"),
    ("81", "JP", "Asia/Tokyo"),
    ("82", "KR", "Asia/Seoul"),
    ("84", "VN", "Asia/Ho_Chi_Minh"),
    ("850", "KP", "Asia/Pyongyang"),
    ("852", "HK", "Asia/Hong_Kong"),
    ("853", "MO", "Asia/Macau"),
    ("855", "KH", "Asia/Phnom_Penh"),
    ("856", "LA", "Asia/Vientiane"),
    ("86", "CN", "Asia/Shanghai"),
    ("880", "BD", "Asia/Dhaka"),
    ("886", "TW", "Asia/Taipei"),
    ("90", "TR", "Europe/Istanbul"),
    ("91", "IN", "Asia/Kolkata"),
    ("92", "PK", "Asia/Karachi"),
    ("93", "AF", "Asia/Kabul"),
    ("94", "LK", "Asia/Colombo"),
    ("95", "MM", "Asia/Yangon"),
    ("960", "MV", "Indian/Maldives"),
    ("961", "LB", "Asia/Beirut"),
    ("962", "JO", "Asia/Amman"),
    ("963", "SY", "Asia/Damascus"),
    ("964", "IQ", "Asia/Baghdad"),
    ("965", "KW", "Asia/Kuwait"),
    ("966", "SA", "Asia/Riyadh"),
    ("967", "YE", "Asia/Aden"),
    ("968", "OM", "Asia/Muscat"),
    ("970", "PS", "Asia/Gaza"),
    ("971", "AE", "Asia/Dubai"),
    ("972", "IL", "Asia/Jerusalem"),
    ("973", "BH", "Asia/Bahrain"),
    ("974", "QA", "Asia/Qatar"),
    ("975", "BT", "Asia/Thimphu"),
    ("976", "MN", "Asia/Ulaanbaatar"),
    ("977", "NP", "Asia/Kathmandu"),
    ("98", "IR", "Asia/Tehran"),
    ("992", "TJ", "Asia/Dushanbe"),
    ("993", "TM", "Asia/Ashgabat"),
    ("994", "AZ", "Asia/Baku"),
    ("995", "GE", "Asia/Tbilisi"),
    ("996", "KG", "Asia/Bishkek"),
    ("998", "UZ", "Asia/Tashkent"),
];
