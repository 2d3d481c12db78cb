#!/bin/bash
# The first start: one database for each of those who keep something there, owned by an account of its own.
set -euo pipefail
for name in backend mlflow; do
  variable=${name^^}_DATABASE_PASSWORD
  psql --quiet --set=ON_ERROR_STOP=1 --username=postgres --dbname=postgres <<SQL
CREATE ROLE $name LOGIN PASSWORD '${!variable}';
CREATE DATABASE $name OWNER $name;
REVOKE ALL ON DATABASE $name FROM PUBLIC;
SQL
done
