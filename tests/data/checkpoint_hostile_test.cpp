#include <nlohmann/json.hpp>

#include "data/checkpoint_manifest.h"
#include "data/hdf5.h"
#include "tests/data/checkpoint_fixture.h"

namespace lockstep {
namespace {

namespace fs = std::filesystem;
using testing::CheckpointTest;

/// Files made with HDF5 itself, under manifests whose hashes are right: what is refused here is
/// refused for what it is.
class CheckpointHostileTest : public CheckpointTest {
 protected:
  struct Creation {
    hid_t type = H5T_IEEE_F32LE;
    std::vector<hsize_t> dims = {4};
    std::vector<hsize_t> most = {};
    hid_t properties = H5P_DEFAULT;
  };

  static hdf5::Dataset add(hid_t file, const char* name, const Creation& how) {
    const hdf5::Dataspace space(H5Screate_simple(static_cast<int>(how.dims.size()), how.dims.data(),
                                                 how.most.empty() ? nullptr : how.most.data()));
    const auto links = hdf5::link_properties();
    hdf5::Dataset dataset(
        H5Dcreate2(file, name, how.type, space.get(), links.get(), how.properties, H5P_DEFAULT));
    EXPECT_GE(dataset.get(), 0) << name;
    return dataset;
  }

  static void add_values(hid_t file, const char* name) {
    const float values[4] = {1, 2, 3, 4};
    const hdf5::Dataset dataset = add(file, name, {});
    EXPECT_GE(H5Dwrite(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values), 0);
  }

  /// A shard filled by `make`, said to hold `name` with dims [4]: the message of opening it.
  template <class Make>
  std::string error_of(Make make, const std::string& name = "parameters/a") {
    const auto directory = temporary_checkpoint_directory(checkpoints_, 1);
    const fs::path path = directory / "shard-000.h5";
    {
      const hdf5::Lock lock;
      hdf5::File file = hdf5::create_file(path);
      make(file.get());
      file.close(path.string());
    }
    const FileHash hash = hash_file(path);
    const float values[4] = {1, 2, 3, 4};
    ShardReport report;
    report.file = {"shard-000.h5", hash.bytes, hash.xxh3_128};
    report.tensors = {{name, "shard-000.h5", {4}, hash128(std::as_bytes(std::span(values)))}};
    const std::vector<std::string> reports = {to_text(report)};
    const fs::path published = publish_checkpoint(checkpoints_, make_state(1), reports);
    return error_of_opening(published);
  }

  static constexpr const char* kName = "parameters/a";
};

TEST_F(CheckpointHostileTest, AGoodOneMadeThisWayOpens) {
  EXPECT_EQ(error_of([](hid_t file) { add_values(file, kName); }), "");
  EXPECT_EQ(Checkpoint::open(checkpoints_ / checkpoint_name(1)).dims(kName),
            std::vector<std::int64_t>{4});
}

TEST_F(CheckpointHostileTest, Links) {
  const auto soft = [](hid_t file) {
    add_values(file, "other/a");
    const auto links = hdf5::link_properties();
    H5Lcreate_soft("/other/a", file, kName, links.get(), H5P_DEFAULT);
  };
  EXPECT_NE(error_of(soft), "");
  const auto external = [](hid_t file) {
    const auto links = hdf5::link_properties();
    H5Lcreate_external("/etc/passwd", "/a", file, kName, links.get(), H5P_DEFAULT);
  };
  EXPECT_TRUE(contains(error_of(external), "link"));
  const auto soft_group = [](hid_t file) {
    add_values(file, "zzz/a");
    H5Lcreate_soft("/zzz", file, "parameters", H5P_DEFAULT, H5P_DEFAULT);
  };
  EXPECT_TRUE(contains(error_of(soft_group), "link"));
  const auto cycle = [](hid_t file) {
    add_values(file, kName);
    H5Lcreate_hard(file, "/", file, "parameters/parameters", H5P_DEFAULT, H5P_DEFAULT);
  };
  EXPECT_TRUE(contains(error_of(cycle), "parameters/parameters"));
}

TEST_F(CheckpointHostileTest, MoreOrLessThanIsListed) {
  const auto more = [](hid_t file) {
    add_values(file, kName);
    add_values(file, "parameters/b");
  };
  EXPECT_TRUE(contains(error_of(more), "parameters/b"));
  EXPECT_TRUE(contains(error_of([](hid_t) {}), "0 of 1"));
  EXPECT_NE(error_of([](hid_t file) { add_values(file, "parameters"); }), "");
  EXPECT_NE(error_of([](hid_t file) { add_values(file, "parameters/a/b"); }), "");
}

TEST_F(CheckpointHostileTest, Types) {
  const hid_t compound = H5Tcreate(H5T_COMPOUND, 4);
  H5Tinsert(compound, "x", 0, H5T_IEEE_F32LE);
  for (const hid_t type : {H5T_IEEE_F64LE, H5T_IEEE_F32BE, H5T_STD_I32LE, compound}) {
    EXPECT_TRUE(contains(error_of([&](hid_t file) { add(file, kName, {type}); }), kName));
  }
  H5Tclose(compound);
}

TEST_F(CheckpointHostileTest, Dims) {
  const hdf5::PropertyList early(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_alloc_time(early.get(), H5D_ALLOC_TIME_EARLY);
  const std::vector<std::vector<hsize_t>> wrong = {{5}, {3}, {4, 1}, {1, 4}, {2, 2}, {0}};
  for (const auto& dims : wrong) {
    const auto make = [&](hid_t file) {
      add(file, kName, {H5T_IEEE_F32LE, dims, {}, early.get()});
    };
    EXPECT_TRUE(contains(error_of(make), "dims differ"));
  }
}

TEST_F(CheckpointHostileTest, Storage) {
  const hsize_t chunk[] = {2};
  const hdf5::PropertyList chunked(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_chunk(chunked.get(), 1, chunk);
  EXPECT_TRUE(contains(error_of([&](hid_t file) {
                         add(file, kName, {H5T_IEEE_F32LE, {4}, {}, chunked.get()});
                       }),
                       "contiguous"));
  EXPECT_NE(error_of([&](hid_t file) {
              add(file, kName, {H5T_IEEE_F32LE, {4}, {H5S_UNLIMITED}, chunked.get()});
            }),
            "");
  const hdf5::PropertyList filtered(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_chunk(filtered.get(), 1, chunk);
  H5Pset_fletcher32(filtered.get());
  EXPECT_NE(error_of([&](hid_t file) {
              add(file, kName, {H5T_IEEE_F32LE, {4}, {}, filtered.get()});
            }),
            "");
  const hdf5::PropertyList elsewhere(H5Pcreate(H5P_DATASET_CREATE));
  H5Pset_external(elsewhere.get(), "/etc/hostname", 0, 16);
  EXPECT_TRUE(contains(error_of([&](hid_t file) {
                         add(file, kName, {H5T_IEEE_F32LE, {4}, {}, elsewhere.get()});
                       }),
                       "another file"));
  EXPECT_TRUE(contains(  // late allocation: nothing was ever written
      error_of([&](hid_t file) { add(file, kName, {}); }), "never written"));
}

TEST_F(CheckpointHostileTest, NoHdf5FileAtAll) {
  const auto directory = temporary_checkpoint_directory(checkpoints_, 1);
  spill(directory / "shard-000.h5", std::string(4096, 'x'));
  const FileHash hash = hash_file(directory / "shard-000.h5");
  ShardReport report;
  report.file = {"shard-000.h5", hash.bytes, hash.xxh3_128};
  const std::vector<std::string> reports = {to_text(report)};
  const fs::path published = publish_checkpoint(checkpoints_, make_state(1), reports);
  EXPECT_TRUE(contains(error_of_opening(published), "is no HDF5 file"));
}

/// Any byte of a shard, under hashes that were made to fit: HDF5 itself crashes on some of these.
TEST_F(CheckpointHostileTest, ChangedBytesUnderRightHashes) {
  const fs::path directory = save(1, 1);
  const fs::path shard = directory / "shard-000.h5", manifest = directory / "manifest.json";
  const std::string good = slurp(shard), listed = slurp(manifest);
  const std::string good_hash = hash128(good);
  const std::size_t tail = listed.rfind(",\n\"manifest_xxh3_128\"");
  int refused = 0;
  for (std::size_t at = 0; at < good.size(); at += 17) {
    for (const char value : {'\xff', '\x01'}) {
      std::string text = good;
      text[at] = value;
      spill(shard, text);
      std::string body = listed.substr(0, tail);
      body.replace(body.find(good_hash), good_hash.size(), hash128(text));
      spill(manifest, body + ",\n\"manifest_xxh3_128\": \"" + hash128(body) + "\"\n}\n");
      try {
        expect_good(Checkpoint::open(directory), 1);
      } catch (const CheckpointError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 50);
}

/// Manifests whose own hash is right.
TEST_F(CheckpointHostileTest, Manifests) {
  using Json = nlohmann::ordered_json;
  const fs::path path = save(1) / "manifest.json";
  const std::string good = slurp(path);
  const auto error_with = [&](auto change) {
    Json json = Json::parse(good);
    json.erase("manifest_xxh3_128");
    change(json);
    std::string text = json.dump();
    text.pop_back();
    spill(path, text + ",\n\"manifest_xxh3_128\": \"" + hash128(text) + "\"\n}\n");
    return error_of_opening(path.parent_path());
  };
  EXPECT_EQ(error_with([](Json&) {}), "");
  EXPECT_TRUE(contains(error_with([](Json& j) { j["format_version"] = 1; }), "version 1"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["format"] = "zip"; }), "manifest.json"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j.erase("state"); }), "state"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["state"]["step"] = "x"; }), "manifest.json"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["files"] = 3; }), "manifest.json"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["files"][1]["name"] = "../shard-000.h5"; }),
                       "../shard-000.h5"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["files"][1]["name"] = "shard-/../x.h5"; }),
                       "none of a checkpoint"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["files"].push_back(j["files"][1]); }), "twice"));
  EXPECT_TRUE(
      contains(error_with([](Json& j) { j["tensors"].push_back(j["tensors"][0]); }), "twice"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["tensors"][1]["name"] = "a/../b"; }), "a/../b"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["tensors"][1]["file"] = "index.h5"; }),
                       "not listed as a shard"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["tensors"][1]["dtype"] = "bf16"; }), "bf16"));
  EXPECT_TRUE(contains(error_with([](Json& j) { j["tensors"][1]["dims"] = {-1, -4}; }), "dims"));
  EXPECT_TRUE(contains(error_with([](Json& j) {
                         j["tensors"][1]["dims"] = {1LL << 40, 1LL << 40};
                       }),
                       "dims"));
  EXPECT_TRUE(
      contains(error_with([](Json& j) { j["tensors"][1]["dims"] = {1LL << 30}; }), "does not fit"));
}

/// What h5py or h5dump see: index.h5 alone leads to every value.
TEST_F(CheckpointHostileTest, TheIndexLeadsToEveryValue) {
  const fs::path directory = save(9, 3);
  fs::rename(directory, root_ / "moved");  // the links are relative
  const hdf5::Lock lock;
  const hdf5::File index(
      H5Fopen((root_ / "moved" / "index.h5").c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  ASSERT_GE(index.get(), 0);
  for (const Tensor& tensor : make_tensors(9)) {
    const hdf5::Dataset dataset(H5Dopen2(index.get(), tensor.name.c_str(), H5P_DEFAULT));
    ASSERT_GE(dataset.get(), 0) << tensor.name;
    std::vector<float> values(tensor.values.size());
    EXPECT_GE(
        H5Dread(dataset.get(), H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), 0);
    EXPECT_EQ(values, tensor.values);
  }
  std::int64_t step = 0;
  const hdf5::Attribute attribute(H5Aopen(index.get(), "step", H5P_DEFAULT));
  EXPECT_GE(H5Aread(attribute.get(), H5T_NATIVE_INT64, &step), 0);
  EXPECT_EQ(step, 9);
}

}  // namespace
}  // namespace lockstep
