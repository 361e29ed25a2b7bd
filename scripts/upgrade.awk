# Makes the replayed part of an upgrade script from an installation script: what can be run again is, everything else
# (tables, types, indexes, event triggers) is the business of whoever writes sql/upgrade/. A statement ends with a line that
# ends with a semicolon, outside of a body between dollar quotes, or between BEGIN ATOMIC and END.

function code_of(line,    at, before) { # without a comment at its end
    at = match(line, /--/)
    if (!at) return line
    before = substr(line, 1, at - 1)
    return gsub(/'/, "'", before) % 2 ? line : before
}

function finish(    head) {
    head = statement
    if (sub(/^CREATE +FUNCTION /, "CREATE OR REPLACE FUNCTION ", statement) ||
        sub(/^CREATE +VIEW /, "CREATE OR REPLACE VIEW ", statement) ||
        sub(/^CREATE +TRIGGER /, "CREATE OR REPLACE TRIGGER ", statement) ||
        head ~ /^(COMMENT|DO|DELETE|ALTER FUNCTION) / || head ~ /^INSERT INTO sync_privilege / ||
        head ~ /^SELECT pg_extension_config_dump\(/)
        print statement "\n"
    statement = ""
}

in_remark { in_remark = !/\*\//; next }
statement == "" && /^\/\*/ { in_remark = !/\*\//; next }
statement == "" && (/^[ \t]*$/ || /^[ \t]*--/) { next }
{
    statement = statement == "" ? $0 : statement "\n" $0
    quotes = gsub(/\$\$/, "$$")
    if (quotes % 2) in_body = !in_body
    if (!in_body && /^BEGIN ATOMIC$/) is_atomic = 1
    if (is_atomic && /^END;$/) is_atomic = 0
    if (!in_body && !is_atomic && (quotes || !/^[ \t]*--/) && code_of($0) ~ /;[ \t]*$/) finish()
}
END {
    if (statement != "") { print "unfinished: " statement > "/dev/stderr"; exit 1 }
}
