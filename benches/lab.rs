//! The server that the benches share, and the large ledger on it.

use std::cell::OnceCell;

use postgres::Client;
use sync_ext_tests::{Server, TestDb};
use uuid::Uuid;

/// Memory as a small production server has. No autovacuum: it would run in one side of a comparison and not in
/// the other; what has to be vacuumed or analysed is.
pub const SETTINGS: &str = "
shared_buffers = '1GB'
max_wal_size = '8GB'
checkpoint_timeout = '30min'
autovacuum = off
sync_ext.preview_rate = 10000
";

pub const MILLION: i64 = 1_000_000;

/// One organisation with a connector and a ledger of a million customers, one in a hundred changed.
pub struct Large<'s> {
    pub db: TestDb<'s>,
    pub org: Uuid,
    pub role: String,
}

pub struct Lab<'s> {
    pub server: &'s Server,
    large: OnceCell<Large<'s>>,
}

impl<'s> Lab<'s> {
    pub fn new(server: &'s Server) -> Self {
        Lab {
            server,
            large: OnceCell::new(),
        }
    }

    pub fn large(&self) -> &Large<'s> {
        self.large.get_or_init(|| Large::build(self.server))
    }
}

impl<'s> Large<'s> {
    fn build(server: &'s Server) -> Self {
        let db = TestDb::on(server);
        let org = db.org();
        let role = db.role("operate", org);
        let mut client = db.client();
        add_connector(&mut client, org);
        client.batch_execute(FUNCTIONS).unwrap();
        client.execute(LEDGER, &[&org, &MILLION]).unwrap();
        client
            .batch_execute("ALTER TABLE sync_customers DISABLE TRIGGER USER")
            .unwrap();
        client.execute(LOCAL, &[&org, &MILLION]).unwrap();
        client
            .batch_execute("ALTER TABLE sync_customers ENABLE TRIGGER USER")
            .unwrap();
        client
            .batch_execute("VACUUM (ANALYZE) sync_record, sync_customers, integration_connector")
            .unwrap();
        client.batch_execute("CHECKPOINT").unwrap();
        Large { db, org, role }
    }
}

/// A connector that is never asked anything.
pub fn add_connector(client: &mut Client, org: Uuid) {
    client
        .execute(
            "INSERT INTO integration_connector (org_id, name, kind, base_url, system, credentials)
             VALUES ($1, 'woocommerce', 'woocommerce', 'https://shop.example', 'shop.example', '\\x00')",
            &[&org],
        )
        .unwrap();
    client
        .execute(
            "SELECT sync_join_connector(i.org_id, i.number) FROM integration_connector i WHERE i.org_id = $1",
            &[&org],
        )
        .unwrap();
}

/// Of record n: what changed, and its canonical form (about as long as a shop's customer).
pub const FUNCTIONS: &str = "
CREATE FUNCTION bench_change(n bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE WHEN n % 100 <> 0 THEN NULL
                WHEN n / 100 % 10 < 4 THEN 'new'
                WHEN n / 100 % 10 < 9 THEN 'updated'
                ELSE 'deleted' END $$;
CREATE FUNCTION bench_customer(n bigint) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
    SELECT jsonb_build_object('email', 'c' || n || '@example.org', 'name', 'First Last ' || n, 'first_name', 'First',
        'last_name', 'Last ' || n, 'role', 'customer', 'username', 'user' || n, 'is_active', true,
        'billing_first_name', 'First', 'billing_last_name', 'Last ' || n, 'billing_address_1', n || ' Long Street',
        'billing_city', 'Springfield', 'billing_postcode', lpad((n % 100000)::text, 5, '0'), 'billing_country', 'US',
        'billing_email', 'c' || n || '@example.org', 'billing_phone', '+1 555 ' || n,
        'shipping_first_name', 'First', 'shipping_last_name', 'Last ' || n, 'shipping_address_1', n || ' Long Street',
        'shipping_city', 'Springfield', 'shipping_postcode', lpad((n % 100000)::text, 5, '0'), 'shipping_country', 'US',
        'modified_at', '2026-01-01T00:00:00Z') $$";

const LEDGER: &str = "
INSERT INTO sync_record (org_id, connector, entity, external_id, match_key, local_id, local_match_key, remote,
                         remote_modified_at, remote_fingerprint, local_fingerprint, agreed_fingerprint)
SELECT $1, i.number, 1, n::text, 'c' || n || '@example.org',
       CASE WHEN c IS DISTINCT FROM 'new' THEN md5('local' || n)::uuid::text END,
       CASE WHEN c IS DISTINCT FROM 'new' THEN 'c' || n || '@example.org' END,
       bench_customer(n), '2026-01-01',
       CASE WHEN c IS DISTINCT FROM 'deleted' THEN md5(n::text)::uuid END,
       CASE WHEN c IS DISTINCT FROM 'new' THEN md5(CASE WHEN c = 'updated' THEN 'old ' ELSE '' END || n)::uuid END,
       CASE WHEN c IS NULL THEN md5(n::text)::uuid END
FROM generate_series(1, $2::bigint) n
CROSS JOIN LATERAL bench_change(n) c
JOIN integration_connector i ON i.org_id = $1";

const LOCAL: &str = "
INSERT INTO sync_customers (org_id, id, email, name, first_name, last_name, role, username, is_active,
    billing_first_name, billing_last_name, billing_address_1, billing_city, billing_postcode, billing_country,
    billing_email, billing_phone, shipping_first_name, shipping_last_name, shipping_address_1, shipping_city,
    shipping_postcode, shipping_country)
SELECT $1, md5('local' || n)::uuid, 'c' || n || '@example.org', 'First Last ' || n, 'First', 'Last ' || n, 'customer',
    'user' || n, true, 'First', 'Last ' || n, n || ' Long Street',
    CASE WHEN bench_change(n) = 'updated' THEN 'Shelbyville' ELSE 'Springfield' END,
    lpad((n % 100000)::text, 5, '0'), 'US', 'c' || n || '@example.org', '+1 555 ' || n, 'First', 'Last ' || n,
    n || ' Long Street', 'Springfield', lpad((n % 100000)::text, 5, '0'), 'US'
FROM generate_series(1, $2::bigint) n
WHERE bench_change(n) IS DISTINCT FROM 'new'";
