#include "data/hdf5_dataset.h"

namespace lockstep::hdf5 {
namespace {

hid_t file_type(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return H5T_IEEE_F32LE;
    case ElementType::kUint8:
      return H5T_STD_U8LE;
    case ElementType::kInt32:
      return H5T_STD_I32LE;
    case ElementType::kUint64:
      return H5T_STD_U64LE;
  }
  throw InternalError("hdf5: unknown element type");
}

hid_t memory_type(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return H5T_NATIVE_FLOAT;
    case ElementType::kUint8:
      return H5T_NATIVE_UINT8;
    case ElementType::kInt32:
      return H5T_NATIVE_INT32;
    case ElementType::kUint64:
      return H5T_NATIVE_UINT64;
  }
  throw InternalError("hdf5: unknown element type");
}

Dataset create_dataset(const File& file, const std::string& name, ElementType type,
                       const std::vector<std::int64_t>& dims) {
  const PropertyList creation(check(H5Pcreate(H5P_DATASET_CREATE), "H5Pcreate", name));
  check(H5Pset_obj_track_times(creation.get(), false), "H5Pset_obj_track_times", name);
  check(H5Pset_layout(creation.get(), H5D_CONTIGUOUS), "H5Pset_layout", name);
  check(H5Pset_alloc_time(creation.get(), H5D_ALLOC_TIME_EARLY), "H5Pset_alloc_time", name);
  check(H5Pset_fill_time(creation.get(), H5D_FILL_TIME_NEVER), "H5Pset_fill_time", name);
  const std::vector<hsize_t> extents(dims.begin(), dims.end());
  const Dataspace space(
      dims.empty() ? check(H5Screate(H5S_SCALAR), "H5Screate", name)
                   : check(H5Screate_simple(static_cast<int>(dims.size()), extents.data(), nullptr),
                           "H5Screate_simple", name));
  const PropertyList links = link_properties();
  return Dataset(check(H5Dcreate2(file.get(), name.c_str(), file_type(type), space.get(),
                                  links.get(), creation.get(), H5P_DEFAULT),
                       "H5Dcreate2", name));
}

}  // namespace

void write_dataset(const File& file, const std::string& name, ElementType type,
                   const std::vector<std::int64_t>& dims, std::span<const std::byte> values) {
  const auto bytes = static_cast<std::uint64_t>(elements_of(dims, name)) * bytes_of(type);
  if (bytes != values.size()) {
    throw InternalError(name + ": " + std::to_string(values.size()) + " bytes for dims " +
                        to_text(dims) + " of " + name_of(type));
  }
  const Lock lock;
  Dataset dataset = create_dataset(file, name, type, dims);
  if (!values.empty())
    check(H5Dwrite(dataset.get(), memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
          "H5Dwrite", name);
  dataset.close(name);  // small ones are written only now
}

std::uint64_t reserve_dataset(const File& file, const std::string& name, ElementType type,
                              const std::vector<std::int64_t>& dims) {
  const Lock lock;
  Dataset dataset = create_dataset(file, name, type, dims);
  const haddr_t offset = elements_of(dims, name) == 0 ? 0 : H5Dget_offset(dataset.get());
  if (offset == HADDR_UNDEF) throw_call_error("H5Dget_offset", name);
  dataset.close(name);
  return offset;
}

}  // namespace lockstep::hdf5
