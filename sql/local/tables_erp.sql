-- The built-in local tables of what only an ERP has.

CREATE TABLE sync_warehouses (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    code text,
    name text,
    company_external_id text,
    company_name text,
    partner_external_id text,
    partner_name text,
    stock_location_external_id text,
    stock_location_name text,
    reception_steps text,
    delivery_steps text,
    is_active boolean,
    custom jsonb,
    modified_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE sync_warehouses IS 'Built-in local table of warehouses, used where the app has none of its own.';

CREATE TABLE sync_purchases (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    number text,
    status text,
    currency text,
    partner_external_id text,
    partner_name text,
    partner_reference text,
    origin text,
    company_external_id text,
    company_name text,
    warehouse_external_id text,
    responsible_external_id text,
    responsible_name text,
    subtotal numeric,
    total_tax numeric,
    total numeric,
    ordered_at timestamptz,
    approved_at timestamptz,
    expected_at timestamptz,
    invoice_status text,
    receipt_status text,
    payment_term text,
    note text,
    lines jsonb,
    is_active boolean,
    sync_type text,
    custom jsonb,
    modified_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE sync_purchases IS 'Built-in local table of purchase orders with their lines, used where the app has none of its own.';
COMMENT ON COLUMN sync_purchases.sync_type IS
    'The connector that the document came from, as sync_apply writes it: no other one is matched with the row. '
    'NULL: matched by its number with whichever connector has it first.';

CREATE TABLE sync_sales (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    number text,
    status text,
    currency text,
    partner_external_id text,
    partner_name text,
    partner_email text,
    partner_reference text,
    invoice_partner_external_id text,
    invoice_partner_name text,
    shipping_partner_external_id text,
    shipping_partner_name text,
    origin text,
    company_external_id text,
    company_name text,
    warehouse_external_id text,
    responsible_external_id text,
    responsible_name text,
    team_name text,
    subtotal numeric,
    total_tax numeric,
    total numeric,
    ordered_at timestamptz,
    valid_until timestamptz,
    expected_at timestamptz,
    invoice_status text,
    delivery_status text,
    payment_term text,
    note text,
    lines jsonb,
    is_active boolean,
    sync_type text,
    custom jsonb,
    modified_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE sync_sales IS
    'Built-in local table of sales orders and quotations with their lines, used where the app has none of its own.';
COMMENT ON COLUMN sync_sales.sync_type IS
    'The connector that the document came from, as sync_apply writes it: no other one is matched with the row. '
    'NULL: matched by its number with whichever connector has it first.';

CREATE TABLE sync_transfers (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    number text,
    status text,
    direction text,
    partner_external_id text,
    partner_name text,
    origin text,
    company_external_id text,
    company_name text,
    warehouse_external_id text,
    source_location_external_id text,
    source_location_name text,
    destination_location_external_id text,
    destination_location_name text,
    backorder_of_external_id text,
    responsible_external_id text,
    responsible_name text,
    priority text,
    tracking_reference text,
    scheduled_at timestamptz,
    deadline_at timestamptz,
    completed_at timestamptz,
    note text,
    lines jsonb,
    is_active boolean,
    sync_type text,
    custom jsonb,
    modified_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE sync_transfers IS 'Built-in local table of stock transfers with their lines, used where the app has none of its own.';
COMMENT ON COLUMN sync_transfers.sync_type IS
    'The connector that the document came from, as sync_apply writes it: no other one is matched with the row. '
    'NULL: matched by its number with whichever connector has it first.';
