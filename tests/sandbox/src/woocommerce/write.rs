//! Writes through the API, and what they do to `date_modified`.

use serde_json::{json, Map, Value};

use super::config::Version;
use super::data::{Data, Id, Kind};
use super::errors::{ApiError, Invalid};
use super::shop::missing;

/// What no client can set.
const FIXED: [&str; 14] = [
    "id",
    "role",
    "_links",
    "permalink",
    "price",
    "on_sale",
    "purchasable",
    "number",
    "total",
    "order_key",
    "refunds",
    "variations",
    "set_paid",
    "force",
];
/// Text that WordPress refuses when it is anything else.
const TEXTS: [&str; 9] = [
    "name",
    "sku",
    "regular_price",
    "sale_price",
    "description",
    "first_name",
    "last_name",
    "email",
    "customer_note",
];

/// Changes a shop as of a moment.
pub struct Writer<'a> {
    pub data: &'a mut Data,
    now: i64,
    site: &'a str,
    /// In a batch: items are not checked against the schema.
    pub lax: bool,
}

impl<'a> Writer<'a> {
    pub fn new(data: &'a mut Data, now: i64, site: &'a str) -> Self {
        Self {
            data,
            now,
            site,
            lax: false,
        }
    }

    fn version(&self) -> Version {
        self.data.config.version
    }

    fn show(&self, kind: Kind, id: Id) -> Value {
        self.data.value(kind, id, self.site, None)
    }

    /// Creates a record.
    pub fn create(&mut self, kind: Kind, parent: Option<Id>, body: &Value) -> Result<Value, ApiError> {
        let mut fields = self.checked(kind, body)?;
        match kind {
            Kind::Customers => self.new_customer(&mut fields)?,
            Kind::Products => self.free_sku(&fields, None)?,
            Kind::Categories => self.new_term(&mut fields)?,
            Kind::Refunds => return self.refund(parent.unwrap_or(0), &fields),
            _ => {}
        }
        if kind == Kind::Variations && !self.data.exists(Kind::Products, parent.unwrap_or(0)) {
            return Err(missing(self.version(), Kind::Products, false));
        }
        let id = self.data.insert(kind, parent, true, self.now);
        if let (Kind::Products, Some(name)) = (kind, fields.get("name").and_then(Value::as_str)) {
            let slug = name.to_lowercase().replace(' ', "-");
            fields.entry("slug").or_insert(slug.into());
        }
        self.take(kind, id, fields);
        if kind == Kind::Variations {
            self.data.touch(kind, id, self.now);
        }
        Ok(self.show(kind, id))
    }

    /// Changes a record.
    pub fn update(
        &mut self,
        kind: Kind,
        id: Id,
        parent: Option<Id>,
        body: &Value,
    ) -> Result<Value, ApiError> {
        let fields = self.checked(kind, body)?;
        self.find(kind, id, parent, true)?;
        if kind == Kind::Products {
            self.free_sku(&fields, Some(id))?;
        }
        let bumps = self.bumps(kind, &fields);
        self.take(kind, id, fields);
        if bumps {
            self.data.touch(kind, id, self.now);
        }
        Ok(self.show(kind, id))
    }

    /// Trashes what has a trash, else deletes; `force` always deletes.
    pub fn delete(&mut self, kind: Kind, id: Id, parent: Option<Id>, force: bool) -> Result<Value, ApiError> {
        self.find(kind, id, parent, false)?;
        if force {
            let shown = self.show(kind, id);
            let parent = self.data.parent(kind, id);
            self.data.remove(kind, id);
            // A refund that is deleted leaves its order's date as it was.
            if kind == Kind::Variations {
                self.data.touch(Kind::Products, parent, self.now);
            }
            return Ok(shown);
        }
        if !matches!(kind, Kind::Products | Kind::Variations | Kind::Orders) {
            let who = if kind == Kind::Customers {
                "Customers do"
            } else {
                "Resource does"
            };
            let message = format!("{who} not support trashing.");
            return Err(ApiError {
                allow: true,
                ..ApiError::new(501, "woocommerce_rest_trash_not_supported", &message)
            });
        }
        if self.data.state(kind, id) == "trash" {
            let message = "The product has already been deleted.";
            return Err(ApiError::new(410, "woocommerce_rest_already_trashed", message));
        }
        self.data.set_state(kind, id, "trash");
        self.data.touch(kind, id, self.now);
        Ok(self.show(kind, id))
    }

    fn find(&self, kind: Kind, id: Id, parent: Option<Id>, writing: bool) -> Result<(), ApiError> {
        let there = self.data.exists(kind, id) && parent.is_none_or(|p| p == self.data.parent(kind, id));
        if there {
            Ok(())
        } else {
            Err(missing(self.version(), kind, writing))
        }
    }

    /// The fields that may be set, with the types they must have.
    fn checked(&self, kind: Kind, body: &Value) -> Result<Map<String, Value>, ApiError> {
        let mut fields = body.as_object().cloned().unwrap_or_default();
        fields.retain(|k, _| !FIXED.contains(&k.as_str()) && !k.starts_with("date_modified"));
        let mut bad = Vec::new();
        for name in TEXTS {
            if fields
                .get(name)
                .is_some_and(|v| v.is_number() || v.is_array() || v.is_object())
            {
                let message = format!("{name} is not of type string.");
                bad.push(Invalid {
                    name,
                    code: "rest_invalid_type",
                    message,
                });
            }
        }
        if let Some(status) = fields
            .get("status")
            .and_then(Value::as_str)
            .filter(|_| kind == Kind::Orders)
        {
            if !self.known_status(status) {
                bad.push(Invalid {
                    name: "status",
                    code: "rest_not_in_enum",
                    message: "status is not one of them.".into(),
                });
                fields.insert("status".into(), "pending".into());
            }
        }
        if bad.is_empty() || self.lax {
            Ok(fields)
        } else {
            Err(ApiError::invalid(&bad))
        }
    }

    fn known_status(&self, status: &str) -> bool {
        const KNOWN: [&str; 10] = [
            "auto-draft",
            "pending",
            "processing",
            "on-hold",
            "completed",
            "cancelled",
            "refunded",
            "failed",
            "checkout-draft",
            "trash",
        ];
        KNOWN.contains(&status) || self.data.config.custom_statuses.iter().any(|s| s == status)
    }

    /// On version 8 an order's lines and metadata are saved without the order.
    fn bumps(&self, kind: Kind, fields: &Map<String, Value>) -> bool {
        // kept as posts, orders get another date by what is the post's own
        let of_the_post = |f: &String| matches!(f.as_str(), "status" | "customer_note" | "parent_id");
        let quiet = kind == Kind::Orders && self.version() == Version::V8 && !fields.keys().any(of_the_post);
        !quiet && kind != Kind::Categories
    }

    fn new_customer(&mut self, fields: &mut Map<String, Value>) -> Result<(), ApiError> {
        let Some(email) = fields.get("email").and_then(Value::as_str).map(str::to_owned) else {
            let error = ApiError::new(400, "rest_missing_callback_param", "Missing parameter(s): email");
            let data = json!({ "status": 400, "params": ["email"] });
            return Err(ApiError {
                data,
                allow: true,
                ..error
            });
        };
        if self.data.by_email(&email).is_some() {
            let message = if self.version() >= Version::V11 {
                format!("An account is already registered with {email}. Please log in or use a different email address.")
            } else {
                "An account is already registered with your email address. <a href=\"#\" class=\"showlogin\">Please log in.</a>".into()
            };
            return Err(ApiError::new(400, "registration-error-email-exists", &message).with_allow());
        }
        let name = email.split('@').next().unwrap_or_default().to_owned();
        fields.entry("username").or_insert(name.into());
        Ok(())
    }

    /// No two categories of one name under one parent; a slug that is taken gets a number.
    fn new_term(&self, fields: &mut Map<String, Value>) -> Result<(), ApiError> {
        let name = fields
            .get("name")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        let parent = fields.get("parent").and_then(Value::as_u64).unwrap_or(0);
        let all = self.data.live(Kind::Categories);
        let field = |id: &Id, name: &str| self.data.field(Kind::Categories, *id, name);
        let twin = all.iter().find(|id| {
            let same = field(id, "name")
                .as_str()
                .is_some_and(|n| n.to_lowercase() == name.to_lowercase());
            same && field(id, "parent").as_u64().unwrap_or(0) == parent
        });
        if let Some(twin) = twin {
            let message = "A term with the name provided already exists with this parent.";
            let data = json!({ "status": 400, "resource_id": twin });
            let error = ApiError::new(400, "term_exists", message);
            return Err(ApiError {
                data,
                allow: true,
                ..error
            });
        }
        let wanted = match fields.get("slug").and_then(Value::as_str) {
            Some(slug) if !slug.is_empty() => slug.to_owned(),
            _ => name.to_lowercase().replace(' ', "-"),
        };
        let is_free = |slug: &String| all.iter().all(|id| field(id, "slug") != **slug);
        let numbered = (2..).map(|n| format!("{wanted}-{n}"));
        if let Some(slug) = std::iter::once(wanted.clone()).chain(numbered).find(is_free) {
            fields.insert("slug".to_owned(), slug.into());
        }
        Ok(())
    }

    fn free_sku(&self, fields: &Map<String, Value>, own: Option<Id>) -> Result<(), ApiError> {
        let sku = fields.get("sku").and_then(Value::as_str).unwrap_or_default();
        if sku.is_empty() {
            return Ok(());
        }
        let live = self.data.live(Kind::Products).iter().copied();
        let taken = live
            .filter(|id| Some(*id) != own)
            .find(|id| self.data.sku(Kind::Products, *id) == sku);
        let Some(taken) = taken else { return Ok(()) };
        let error = ApiError::new(400, "product_invalid_sku", "Invalid or duplicated SKU.");
        let data = json!({ "status": 400, "resource_id": taken, "unique_sku": format!("{sku}-1") });
        Err(ApiError {
            data,
            allow: true,
            ..error
        })
    }

    fn take(&mut self, kind: Kind, id: Id, mut fields: Map<String, Value>) {
        let items = if kind == Kind::Orders {
            fields.remove("line_items")
        } else {
            None
        };
        self.data.merge(kind, id, &fields);
        if let Some(Value::Array(items)) = items {
            self.line_items(id, &items);
        }
    }

    /// Adds and changes an order's lines; a quantity of 0 removes one.
    fn line_items(&mut self, order: Id, items: &[Value]) {
        let mut lines = match self.data.field(Kind::Orders, order, "line_items") {
            Value::Array(lines) => lines,
            _ => Vec::new(),
        };
        for item in items {
            let known = item
                .get("id")
                .and_then(|id| lines.iter().position(|l| l["id"] == *id));
            let at = known.unwrap_or_else(|| {
                lines.push(self.new_line(order, lines.len(), item));
                lines.len() - 1
            });
            for (key, value) in item.as_object().into_iter().flatten() {
                lines[at][key] = value.clone();
            }
            if item["quantity"] == 0 {
                lines.remove(at);
            }
        }
        let cents = |v: &Value| v.as_str().and_then(|s| s.parse::<f64>().ok()).unwrap_or(0.0);
        let goods: f64 = lines
            .iter()
            .map(|l| cents(&l["total"]) + cents(&l["total_tax"]))
            .sum();
        let shipping = cents(&self.data.field(Kind::Orders, order, "shipping_total"));
        self.data
            .set(Kind::Orders, order, "line_items", Value::Array(lines));
        self.data.set(
            Kind::Orders,
            order,
            "total",
            format!("{:.2}", goods + shipping).into(),
        );
    }

    fn new_line(&self, order: Id, n: usize, item: &Value) -> Value {
        let product = item["product_id"]
            .as_u64()
            .and_then(|p| Id::try_from(p).ok())
            .unwrap_or(0);
        let there = self.data.exists(Kind::Products, product);
        let text = |field| {
            if there {
                self.data.field(Kind::Products, product, field)
            } else {
                json!("")
            }
        };
        let quantity = item["quantity"].as_u64().unwrap_or(1);
        let price = text("price")
            .as_str()
            .and_then(|p| p.parse::<f64>().ok())
            .unwrap_or(0.0);
        let total = format!("{:.2}", price * quantity as f64);
        let sku = if there { text("sku") } else { Value::Null };
        let mut line = json!({
            "id": u64::from(order) * 10 + n as u64, "name": text("name"), "product_id": product, "variation_id": 0,
            "quantity": quantity, "tax_class": "", "subtotal": total, "subtotal_tax": "0.00", "total": total, "total_tax": "0.00",
            "taxes": [], "meta_data": [], "sku": sku, "price": price, "image": { "id": "", "src": "" }, "parent_name": null,
        });
        if self.version() >= Version::V11 {
            line["global_unique_id"] = if there { json!("") } else { Value::Null };
        }
        line
    }

    /// Refunds an order in part or in full, which changes the order.
    fn refund(&mut self, order: Id, fields: &Map<String, Value>) -> Result<Value, ApiError> {
        self.find(Kind::Orders, order, None, false)?;
        let number = |v: &Value| match v {
            Value::String(s) => s.parse().unwrap_or(0.0),
            v => v.as_f64().unwrap_or(0.0),
        };
        let amount: f64 = fields.get("amount").map_or(0.0, number);
        let refunds = self.data.children(Kind::Refunds, order);
        let before: f64 = refunds
            .iter()
            .map(|r| number(&self.data.field(Kind::Refunds, *r, "amount")))
            .sum();
        let left = number(&self.data.field(Kind::Orders, order, "total")) - before;
        if amount <= 0.0 || amount > left + 0.001 {
            let error = ApiError::new(
                500,
                "woocommerce_rest_cannot_create_order_refund",
                "Invalid refund amount.",
            );
            // The one error whose data is a bare number.
            return Err(ApiError {
                data: json!(500),
                allow: true,
                ..error
            });
        }
        let id = self.data.insert(Kind::Refunds, Some(order), true, self.now);
        self.data
            .set(Kind::Refunds, id, "amount", format!("{amount:.2}").into());
        if let Some(reason) = fields.get("reason") {
            self.data.set(Kind::Refunds, id, "reason", reason.clone());
        }
        if amount > left - 0.001 {
            self.data.set_state(Kind::Orders, order, "refunded");
        }
        self.data.touch(Kind::Orders, order, self.now);
        Ok(self.show(Kind::Refunds, id))
    }
}
