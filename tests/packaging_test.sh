#!/usr/bin/env bash
# The Spack recipe, the Apptainer definition and the environment module: each is parsed, and names what the project needs.
# Usage: packaging_test.sh SOURCE_DIRECTORY BUILD_DIRECTORY
set -uo pipefail
cd "$1"
module=$(echo "$2"/modulefiles/lockstep/*.lua)
failures=0
fail() { failures=$((failures + 1)); echo "FAILED: $*"; }

recipe=packaging/spack_repo/lockstep/packages/lockstep/package.py definition=packaging/lockstep.def

# The recipe is Python; its directives are calls that Spack has.
python3 - "$recipe" <<'END' || fail "the Spack recipe"
import ast, sys
tree = ast.parse(open(sys.argv[1]).read())
recipe = next(node for node in tree.body if isinstance(node, ast.ClassDef))
assert recipe.name == "Lockstep" and recipe.bases[0].id == "CMakePackage"
calls = [s.value for s in recipe.body if isinstance(s, ast.Expr) and isinstance(s.value, ast.Call)]
unknown = {c.func.id for c in calls} - {"version", "license", "variant", "depends_on"}
assert not unknown, unknown
variants = {c.args[0].value for c in calls if c.func.id == "variant"}
for call in calls:
    for word in call.keywords:
        if word.arg == "when":
            assert word.value.value.lstrip("+~") in variants, word.value.value
END
grep -q '^  namespace: lockstep$' packaging/spack_repo/lockstep/repo.yaml || fail "repo.yaml"

# What CMakeLists.txt looks for, and what the recipe calls it.
while read -r found name; do
  grep -q "depends_on(\"$name" "$recipe" || fail "$recipe does not name $name, for $found"
done <<'END'
MPI mpi
dnnl onednn
TBB tbb
HDF5 hdf5
Boost boost
ZLIB zlib-api
nlohmann_json nlohmann-json
spdlog spdlog
xxhash xxhash
turbojpeg libjpeg-turbo
spng libspng
GTest googletest
END
known='Threads|OpenMP|Git|MPI|dnnl|TBB|HDF5|Boost|ZLIB|nlohmann_json|spdlog|xxhash|turbojpeg|spng|GTest|benchmark|pmix'
for found in $(cat CMakeLists.txt tests/CMakeLists.txt | sed -nE 's/^ *find_package\(([A-Za-z0-9_]+).*/\1/p; s/^ *find_library\([A-Z_]+ ([a-z]+).*/\1/p' | sort -u); do
  grep -qxE "$known" <<<"$found" || fail "CMakeLists.txt finds $found, which packaging/ and this test do not know"
done

# The definition: sections that Apptainer has, and shell that parses.
unknown=$(grep -oE '^%[a-z]+' "$definition" | grep -vxE '%(files|post|environment|runscript|test|help)')
[ -z "$unknown" ] || fail "$definition has $unknown"
awk '/^%/{in_post = ($1 == "%post")} in_post && !/^%/' "$definition" | bash -n || fail "%post of $definition"
# Its libraries are those that the program needs here (Debian's names hold the version of the library).
if command -v dpkg-query >/dev/null && grep -q 'VERSION_CODENAME=bookworm' /etc/os-release; then
  for library in $(readelf -d "$2/lockstep" | sed -nE 's/.*NEEDED.*\[(lib(spdlog|fmt|tbb|hdf5|z|xxhash|turbojpeg|spng|gomp|boost)[^]]*)\].*/\1/p'); do
    package=$(dpkg-query -S "*/$library" 2>/dev/null | head -n 1 | sed 's/[:,].*//')
    [ -z "$package" ] || grep -qw -- "$package" "$definition" || fail "$definition does not install $package, which has $library"
  done
fi

# The module: Lua that parses, of this version, and without a path of this machine.
version=$("$2/lockstep" --version | sed 's/lockstep //')
grep -q "whatis(\"Version: $version\")" "$module" || fail "$module is not of version $version"
! grep -qF "$1" "$module" || fail "$module holds the path of the sources"
if command -v luac >/dev/null; then luac -p "$module" || fail "$module"; fi

exit $((failures > 0))
