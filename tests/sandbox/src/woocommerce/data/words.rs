//! Words that records are made of: what real shops hold and careless clients break on.

pub use crate::core::dice::pick;

pub const FIRST: [&str; 12] = [
    "José",
    "",
    "Zoë",
    "محمد",
    "李",
    "Olga",
    "Anne-Marie",
    "Björn",
    "Plain",
    "Łukasz",
    "Ian 🎉",
    "Đặng",
];
pub const LAST: [&str; 12] = [
    "Nguyễn",
    "van der Berg",
    "García López",
    "O'Neill",
    "",
    "王",
    "Müller",
    "Smith & Sons",
    "\"Quoted\"",
    "Žižek",
    "Back\\slash",
    "Øst",
];
pub const CITIES: [&str; 8] = [
    "Łódź",
    "München",
    "São Paulo",
    "東京",
    "Hamburg",
    "Kraków",
    "L'Aquila",
    "New York",
];
pub const COUNTRIES: [&str; 6] = ["DE", "PL", "BR", "JP", "IT", "US"];
pub const PRODUCTS: [&str; 12] = [
    "Café crème 🎉",
    "O'Reilly & Sons mug",
    "Basic Tee",
    "Ünïcödé",
    "日本語の商品",
    "Shirt &amp; Tie",
    "<b>Bold</b> name",
    "Name  with   double spaces",
    "Żółta koszulka",
    "قميص أحمر",
    "100% cotton \"XL\"",
    "Slash/Backslash\\",
];
pub const SLUGS: [&str; 12] = [
    "cafe-creme-%f0%9f%8e%89",
    "oreilly-sons-mug",
    "basic-tee",
    "unicode",
    "%e6%97%a5%e6%9c%ac",
    "shirt-tie",
    "bold-name",
    "name-with-double-spaces",
    "zolta-koszulka",
    "%d9%82%d9%85%d9%8a%d8%b5",
    "100-cotton-xl",
    "slash-backslash",
];
pub const CATEGORIES: [(&str, &str); 8] = [
    ("Uncategorized", "uncategorized"),
    ("Werkzeug &amp; Zubehör", "werkzeug-zubehor"),
    ("T-Shirts", "t-shirts"),
    ("Kids'", "kids"),
    ("Duplicate", "duplicate"),
    ("Sale %", "sale"),
    ("Bücher", "bucher"),
    ("日本", "%e6%97%a5%e6%9c%ac"),
];
pub const COLORS: [(&str, &str); 4] = [
    ("Red", "red"),
    ("Blue", "blue"),
    ("Grün", "grun"),
    ("Black &amp; White", "black-white"),
];
pub const SIZES: [(&str, &str); 4] = [("S", "s"), ("M", "m"), ("L", "l"), ("XL", "xl")];
pub const DESCRIPTIONS: [&str; 4] = [
    "",
    "<p>Plain text line 1<br />\nline 2 ✓</p>\n",
    "<h2>Über</h2>\n<p>HTML <em>x</em> &euro; 5&nbsp;cm</p>\n<ul>\n<li>a</li>\n</ul>\n<p><script>alert(1)</script></p>\n",
    "<p>A long one. Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor.</p>\n",
];
/// Values of metadata: any JSON, most often text.
pub const META: [(&str, &str); 6] = [
    ("loyalty", "\"gold\""),
    ("lab_obj", "{\"k\":{\"n\":1}}"),
    ("_erp_id", "\"ERP-7\""),
    ("lab_list", "[1,2,\"x\",null]"),
    ("empty", "\"\""),
    ("number", "12.5"),
];
