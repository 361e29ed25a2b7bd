//! Words that records are made of: what real databases hold and careless clients break on.

pub use crate::core::dice::pick;

pub const COMPANIES: [&str; 10] = [
    "Müller & Söhne GmbH",
    "Société Générale d’Électricité",
    "株式会社サンプル",
    "Łódź Spółka z o.o.",
    "شركة النيل",
    "O'Brien \"Quotes\" <b>Ltd</b>",
    "Ünïcødé 😀 Emoji Inc",
    "Tab\tand  double  spaces",
    "N\u{303} combining vs Ñ",
    "Plain Trading",
];
pub const FIRST: [&str; 8] = ["José", "Zoë", "محمد", "李", "Αννα", "X Æ A-12", "Björk", "Olga"];
pub const LAST: [&str; 8] = [
    "Nuñez",
    "van der Berg",
    "O’Neil",
    "王",
    "Øst",
    "Петров",
    "Smith & Sons",
    "Back\\slash",
];
pub const CITIES: [&str; 6] = ["Łódź", "München", "São Paulo", "東京", "L'Aquila", "Berlin"];
pub const PRODUCTS: [&str; 8] = [
    "Schraube M4×10",
    "Lämpe",
    "テーブル",
    "Câble",
    "Widget \"A\" <i>",
    "Stuhl",
    "Kabel 5 m",
    "Shirt & Tie",
];
pub const GERMAN: [&str; 8] = [
    "Schraube M4×10",
    "Leuchte",
    "Tisch",
    "Leitung",
    "Dingsbums \"A\"",
    "Stuhl",
    "Kabel 5 m",
    "Hemd & Krawatte",
];
pub const CATEGORIES: [&str; 6] = [
    "Möbel",
    "Elektronik / \"Quoted\"",
    "飲料",
    "Sale %",
    "Tools & Parts",
    "Bücher",
];
pub const COLORS: [&str; 3] = ["Rot", "Grün", "Black & White"];
pub const SIZES: [&str; 2] = ["S", "M"];
pub const NOTES: [&str; 4] = [
    "",
    "<p>hello</p>",
    "<p>Note <b>7</b> &amp; co</p>",
    "<p>Zeile 1<br>Zeile 2 – €</p>",
];
