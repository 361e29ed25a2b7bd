-- Entity types, and the built-in local tables of those that WooCommerce and Odoo share.

CREATE TABLE sync_entity (
    number smallint PRIMARY KEY,
    name text NOT NULL UNIQUE,
    singular text NOT NULL UNIQUE,
    local_table text NOT NULL,
    is_document boolean NOT NULL
);
INSERT INTO sync_entity VALUES
    (1, 'customers', 'customer', 'sync_customers', false),
    (2, 'products', 'product', 'sync_products', false),
    (3, 'orders', 'order', 'sync_orders', true),
    (4, 'categories', 'category', 'sync_categories', false),
    (5, 'warehouses', 'warehouse', 'sync_warehouses', false),
    (6, 'purchases', 'purchase', 'sync_purchases', true),
    (7, 'sales', 'sale', 'sync_sales', true),
    (8, 'transfers', 'transfer', 'sync_transfers', true);
COMMENT ON TABLE sync_entity IS 'Entity types by number, name and built-in local table.';
COMMENT ON COLUMN sync_entity.is_document IS
    'Known by a number, which means something in one system only: rows of one connector are never matched with records of '
    'another.';

CREATE FUNCTION sync_entity_of(entity_type text) RETURNS sync_entity
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, @extschema@, pg_temp
AS $$
DECLARE
    e sync_entity;
    wanted text := lower(btrim(entity_type));
BEGIN
    IF entity_type IS NULL THEN
        RAISE EXCEPTION 'entity_type must not be NULL' USING ERRCODE = '22023', HINT = 'A variable of the app may be empty.';
    END IF;
    SELECT * INTO e FROM sync_entity x WHERE x.name = wanted OR x.singular = wanted;
    IF NOT FOUND THEN
        RAISE EXCEPTION 'unknown entity type "%"', entity_type USING ERRCODE = '22023',
            HINT = 'Use one of: ' || (SELECT string_agg(x.name, ', ' ORDER BY x.number) FROM sync_entity x) || '.';
    END IF;
    RETURN e;
END
$$;
COMMENT ON FUNCTION sync_entity_of(text) IS 'The entity type of that name, singular or plural; 22023 for any other.';

CREATE TABLE sync_customers (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    email text,
    name text,
    first_name text,
    last_name text,
    company text,
    phone text,
    is_company boolean,
    tax_number text,
    role text,
    username text,
    billing_first_name text,
    billing_last_name text,
    billing_company text,
    billing_address_1 text,
    billing_address_2 text,
    billing_city text,
    billing_state text,
    billing_postcode text,
    billing_country text,
    billing_email text,
    billing_phone text,
    shipping_first_name text,
    shipping_last_name text,
    shipping_company text,
    shipping_address_1 text,
    shipping_address_2 text,
    shipping_city text,
    shipping_state text,
    shipping_postcode text,
    shipping_country text,
    shipping_phone text,
    company_external_id text,
    company_name text,
    is_active boolean,
    custom jsonb,
    modified_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    tags jsonb,
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE sync_customers IS 'Built-in local table of customers, used where the app has none of its own.';

CREATE TABLE sync_products (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    sku text,
    name text,
    type text,
    status text,
    slug text,
    description text,
    short_description text,
    price numeric,
    regular_price numeric,
    sale_price numeric,
    sale_from timestamptz,
    sale_to timestamptz,
    currency text,
    manage_stock boolean,
    stock_quantity numeric,
    stock_status text,
    weight numeric,
    length numeric,
    width numeric,
    height numeric,
    tax_status text,
    tax_class text,
    barcode text,
    parent_external_id text,
    attributes jsonb,
    category_ids jsonb,
    tags jsonb,
    image_urls jsonb,
    catalog_visibility text,
    is_virtual boolean,
    is_downloadable boolean,
    backorders text,
    company_external_id text,
    company_name text,
    is_active boolean,
    custom jsonb,
    modified_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE sync_products IS
    'Built-in local table of products and their variations (type = variation), used where the app has none of its own.';

CREATE TABLE sync_orders (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    number text,
    status text,
    currency text,
    customer_external_id text,
    customer_name text,
    customer_email text,
    invoice_partner_external_id text,
    invoice_partner_name text,
    shipping_partner_external_id text,
    shipping_partner_name text,
    billing_first_name text,
    billing_last_name text,
    billing_company text,
    billing_address_1 text,
    billing_address_2 text,
    billing_city text,
    billing_state text,
    billing_postcode text,
    billing_country text,
    billing_email text,
    billing_phone text,
    shipping_first_name text,
    shipping_last_name text,
    shipping_company text,
    shipping_address_1 text,
    shipping_address_2 text,
    shipping_city text,
    shipping_state text,
    shipping_postcode text,
    shipping_country text,
    shipping_phone text,
    company_external_id text,
    company_name text,
    total numeric,
    total_tax numeric,
    shipping_total numeric,
    shipping_tax numeric,
    discount_total numeric,
    discount_tax numeric,
    cart_tax numeric,
    prices_include_tax boolean,
    payment_method text,
    payment_method_title text,
    transaction_id text,
    customer_note text,
    created_via text,
    ordered_at timestamptz,
    paid_at timestamptz,
    completed_at timestamptz,
    lines jsonb,
    shipping_lines jsonb,
    fee_lines jsonb,
    coupon_lines jsonb,
    tax_lines jsonb,
    refunds jsonb,
    sync_type text,
    custom jsonb,
    modified_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE sync_orders IS 'Built-in local table of orders with their lines and refunds, used where the app has none of its own.';
COMMENT ON COLUMN sync_orders.sync_type IS
    'The connector that the document came from, as sync_apply writes it: no other one is matched with the row. '
    'NULL: matched by its number with whichever connector has it first.';

CREATE TABLE sync_categories (
    org_id uuid NOT NULL DEFAULT sync_current_org(),
    id uuid NOT NULL DEFAULT gen_random_uuid(),
    name text,
    slug text,
    parent_external_id text,
    description text,
    display text,
    menu_order numeric,
    image_url text,
    custom jsonb,
    modified_at timestamptz,
    created_at timestamptz DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (org_id, id)
);
COMMENT ON TABLE sync_categories IS 'Built-in local table of product categories, used where the app has none of its own.';
