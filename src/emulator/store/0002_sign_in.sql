-- Device codes, authorization codes and refresh tokens that were handed out. Times are seconds
-- since 1970; what expired long ago is forgotten.
CREATE TABLE sign_in_grant (
    code TEXT PRIMARY KEY,
    user_code TEXT UNIQUE,
    expires INTEGER NOT NULL,
    doc TEXT NOT NULL
) STRICT, WITHOUT ROWID;
