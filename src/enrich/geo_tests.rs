//! What is promised about places: the embedded database with its table of countries, and operators' files of both schemas.

use maxminddb::WithinOptions;

use super::*;

/// A database whose every IPv4 address has one record, written by hand: the format is MaxMind DB 2.0.
fn database(record: &[u8]) -> Vec<u8> {
    // One node whose branches both lead to the first record: node count + 16 + offset 0.
    let mut bytes = vec![0, 0, 17, 0, 0, 17];
    bytes.extend([0; 16]);
    bytes.extend(record);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    bytes.extend(map(&[
        ("binary_format_major_version", small(2)),
        ("binary_format_minor_version", small(0)),
        ("ip_version", small(4)),
        ("node_count", wide(1)),
        ("record_size", small(24)),
        // 2024-01-01T00:00:00Z, as the eight-byte number the format asks for.
        ("build_epoch", vec![0x04, 0x02, 0x65, 0x92, 0x00, 0x80]),
        ("database_type", word("Test")),
        ("description", map(&[])),
        ("languages", vec![0x00, 0x04]),
    ]));
    bytes
}

fn map(entries: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut bytes = vec![0xe0 | entries.len() as u8];
    for (key, value) in entries {
        bytes.extend(word(key));
        bytes.extend(value);
    }
    bytes
}

fn word(text: &str) -> Vec<u8> {
    let short = u8::try_from(text.len()).ok().filter(|length| *length < 29);
    match short {
        Some(length) => [vec![0x40 | length], text.as_bytes().to_vec()].concat(),
        None => [vec![0x40 | 29, (text.len() - 29) as u8], text.as_bytes().to_vec()].concat(),
    }
}

fn double(number: f64) -> Vec<u8> {
    [vec![0x68], number.to_be_bytes().to_vec()].concat()
}

fn float(number: f32) -> Vec<u8> {
    [vec![0x04, 0x08], number.to_be_bytes().to_vec()].concat()
}

/// The two-byte kind of number.
fn small(number: u8) -> Vec<u8> {
    vec![0xa1, number]
}

/// The four-byte kind.
fn wide(number: u8) -> Vec<u8> {
    vec![0xc1, number]
}

fn place(geo: &mut Geo, ip: &str) -> Event {
    let mut event = Event::new("");
    geo.enrich(&mut event, ip.parse().expect("an address"));
    event
}

fn with_file(record: &[u8], open: impl Fn(&Path) -> Geo) -> Event {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("operator.mmdb");
    std::fs::write(&file, database(record)).expect("written");
    let mut geo = open(&file);
    let described = geo.city_database().or(geo.asn_database()).expect("the operator's");
    assert_eq!((described.date.as_str(), described.file), ("2024-01-01", Some(file)));
    place(&mut geo, "8.8.8.8")
}

#[test]
fn the_first_run_knows_countries_with_their_circles() {
    let mut geo = Geo::new(None, None).expect("embedded");
    for (ip, country) in [("8.8.8.8", "US"), ("114.114.114.114", "CN"), ("2a02:2e0:3fe::1", "DE"), ("133.11.0.1", "JP")]
    {
        let event = place(&mut geo, ip);
        assert_eq!(event.text(Field::SourceCountry), Some(country), "{ip}");
        assert!(event.float(Field::GeoRadius).expect("a radius") > 100.0);
        assert!(event.has(Field::SourceLat) && event.has(Field::SourceLon));
        assert!(!event.has(Field::SourceCity));
        assert_eq!(place(&mut geo, ip), event, "the second time it comes from the cache");
    }
}

#[test]
fn the_database_tells_its_date() {
    let described = Geo::new(None, None).expect("embedded").country_database();
    assert_eq!(described.file, None);
    assert!(described.date.as_str() >= "2026-06-17" && described.build_epoch >= 1_781_725_900, "{described:?}");
}

#[test]
fn every_country_of_the_database_has_a_circle() {
    let geo = Geo::new(None, None).expect("embedded");
    let mut missing = std::collections::BTreeSet::new();
    let all = "::/0".parse().expect("a network");
    for found in geo.country.within(all, WithinOptions::default()).expect("readable") {
        let code: Option<&str> = found.expect("whole").decode_path(&path!["country_code"]).expect("text");
        if let Some(code) = code
            && !geo.circles.contains_key(code)
        {
            missing.insert(code.to_owned());
        }
    }
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_far_cities_of_a_country_lie_within_its_circle() {
    let circles = circles();
    for (code, city, lat, lon) in [
        ("US", "Seattle", 47.6, -122.3),
        ("US", "Miami", 25.8, -80.2),
        ("US", "Boston", 42.4, -71.1),
        ("CA", "St. John's", 47.6, -52.7),
        ("CA", "Vancouver", 49.3, -123.1),
        ("CN", "Urumqi", 43.8, 87.6),
        ("CN", "Kashgar", 39.5, 76.0),
        ("CN", "Shanghai", 31.2, 121.5),
        ("CN", "Harbin", 45.8, 126.5),
        ("RU", "Kaliningrad", 54.7, 20.5),
        ("RU", "Vladivostok", 43.1, 131.9),
        ("RU", "Moscow", 55.8, 37.6),
        ("DE", "Konstanz", 47.7, 9.2),
        ("DE", "Flensburg", 54.8, 9.4),
        ("DE", "Munich", 48.1, 11.6),
        ("FR", "Ajaccio", 41.9, 8.7),
        ("FR", "Brest", 48.4, -4.5),
        ("GB", "London", 51.5, -0.1),
        ("GB", "Lerwick", 60.2, -1.1),
        ("ES", "Palma", 39.6, 2.7),
        ("IT", "Palermo", 38.1, 13.4),
        ("IN", "Srinagar", 34.1, 74.8),
        ("IN", "Kanyakumari", 8.1, 77.5),
        ("IN", "Guwahati", 26.1, 91.7),
        ("BR", "Rio Branco", -10.0, -67.8),
        ("BR", "Porto Alegre", -30.0, -51.2),
        ("BR", "Recife", -8.1, -34.9),
        ("AU", "Perth", -32.0, 115.9),
        ("AU", "Brisbane", -27.5, 153.0),
        ("JP", "Sapporo", 43.1, 141.4),
        ("JP", "Naha", 26.2, 127.7),
        ("ID", "Banda Aceh", 5.5, 95.3),
        ("ID", "Jayapura", -2.5, 140.7),
        ("CL", "Punta Arenas", -53.2, -70.9),
        ("CL", "Arica", -18.5, -70.3),
        ("SG", "Singapore", 1.35, 103.8),
        ("HK", "Hong Kong", 22.3, 114.2),
        ("NL", "Maastricht", 50.85, 5.7),
        ("PL", "Szczecin", 53.4, 14.6),
        ("MX", "Tijuana", 32.5, -117.0),
        ("MX", "Cancun", 21.2, -86.8),
        ("ZA", "Cape Town", -33.9, 18.4),
        ("VN", "Hanoi", 21.0, 105.8),
        ("VN", "Ca Mau", 9.2, 105.2),
        ("SE", "Malmo", 55.6, 13.0),
        ("NO", "Tromso", 69.6, 18.9),
        ("MY", "Kuala Lumpur", 3.1, 101.7),
        ("AR", "Ushuaia", -54.8, -68.3),
        ("NZ", "Auckland", -36.8, 174.8),
        ("TR", "Istanbul", 41.0, 29.0),
        ("UA", "Lviv", 49.8, 24.0),
    ] {
        let (centre_lat, centre_lon, radius) = circles[code];
        let distance = distance(centre_lat, centre_lon, lat, lon);
        assert!(distance <= radius, "{city} is {distance:.0} km from the centre of {code}, radius {radius}");
    }
}

/// Great-circle distance in kilometres (haversine).
fn distance(lat1: f64, lon1: f64, lat2: f64, lon2: f64) -> f64 {
    let (a, b) = (lat1.to_radians(), lat2.to_radians());
    let half = |from: f64, to: f64| ((to - from).to_radians() / 2.0).sin().powi(2);
    2.0 * 6371.0 * (half(lat1, lat2) + a.cos() * b.cos() * half(lon1, lon2)).sqrt().asin()
}

#[test]
fn an_operator_s_city_file_replaces_the_country() {
    let name = |text: &str| map(&[("names", map(&[("en", word(text))]))]);
    let record = map(&[
        ("city", name("Paris")),
        ("country", map(&[("iso_code", word("FR"))])),
        ("location", map(&[("latitude", double(48.85)), ("longitude", double(2.35)), ("accuracy_radius", small(20))])),
        ("subdivisions", [vec![0x01, 0x04], name("Ile-de-France")].concat()),
    ]);
    let event = with_file(&record, |file| Geo::new(Some(file), None).expect("readable"));
    assert_eq!(event.text(Field::SourceCountry), Some("FR"));
    assert_eq!(event.text(Field::SourceCity), Some("Paris"));
    assert_eq!(event.text(Field::SourceRegion), Some("Ile-de-France"));
    assert_eq!(event.float(Field::SourceLat), Some(48.85));
    assert_eq!(event.float(Field::GeoRadius), Some(20.0));
}

#[test]
fn a_flat_city_file_is_read_as_well() {
    let record = map(&[
        ("city", word("Lyon")),
        ("country_code", word("FR")),
        ("latitude", float(45.75)),
        ("longitude", float(4.85)),
        ("state1", word("Auvergne-Rhone-Alpes")),
    ]);
    let event = with_file(&record, |file| Geo::new(Some(file), None).expect("readable"));
    assert_eq!((event.text(Field::SourceCountry), event.text(Field::SourceCity)), (Some("FR"), Some("Lyon")));
    assert_eq!(event.text(Field::SourceRegion), Some("Auvergne-Rhone-Alpes"));
    assert_eq!((event.float(Field::SourceLat), event.float(Field::GeoRadius)), (Some(45.75), Some(CITY_RADIUS)));
}

#[test]
fn a_point_that_is_only_the_country_s_keeps_the_country_s_circle() {
    let record = map(&[("country_code", word("FR")), ("latitude", float(46.0)), ("longitude", float(2.0))]);
    let event = with_file(&record, |file| Geo::new(Some(file), None).expect("readable"));
    assert_eq!(event.float(Field::GeoRadius), Some(circles()["FR"].2));
}

#[test]
fn an_operator_s_asn_file_names_the_network() {
    let record =
        map(&[("autonomous_system_number", wide(99)), ("autonomous_system_organization", word("Example Net"))]);
    let event = with_file(&record, |file| Geo::new(None, Some(file)).expect("readable"));
    assert_eq!(event.integer(Field::SourceAsn), Some(99));
    assert_eq!(event.text(Field::SourceAsOrg), Some("Example Net"));
    assert_eq!(event.text(Field::SourceCountry), Some("US"), "the place is still the embedded database's");
}

#[test]
fn a_file_that_is_no_database_says_who_mends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("city.mmdb");
    for content in [None, Some(b"not a database".as_slice())] {
        if let Some(content) = content {
            std::fs::write(&file, content).expect("written");
        }
        let shown = Geo::new(Some(&file), None).err().expect("refused").to_string();
        assert!(shown.contains("city.mmdb") && shown.contains("correct [geo]"), "{shown}");
    }
}

#[test]
fn what_a_line_says_of_its_place_stands_against_the_country_database_alone() {
    let mut geo = Geo::new(None, None).expect("embedded");
    let mut event = Event::new("");
    event.set(Field::SourceCountry, "DE");
    event.set(Field::SourceCity, "Berlin");
    event.set_float(Field::SourceLat, 52.5);
    event.set_float(Field::SourceLon, 13.4);
    geo.enrich(&mut event, "8.8.8.8".parse().expect("an address"));
    assert_eq!((event.text(Field::SourceCountry), event.float(Field::SourceLat)), (Some("DE"), Some(52.5)));
    assert_eq!(event.float(Field::GeoRadius), Some(CITY_RADIUS));
    let mut country_only = Event::new("");
    country_only.set(Field::SourceCountry, "DE");
    geo.enrich(&mut country_only, "8.8.8.8".parse().expect("an address"));
    assert_eq!(country_only.float(Field::GeoRadius), Some(circles()["DE"].2));
}
