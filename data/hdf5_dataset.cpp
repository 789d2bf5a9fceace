#include "data/hdf5_dataset.h"

#include <limits>

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

std::string to_text(const std::vector<std::int64_t>& dims) {
  std::string text = "[";
  for (std::size_t i = 0; i < dims.size(); ++i) {
    if (i > 0) text += ',';
    text += std::to_string(dims[i]);
  }
  return text + "]";
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

/// Refuses user-defined, external and soft links: an ordinary one stays in the file.
void check_hard_link(hid_t group, const std::string& link, const std::string& where) {
  H5L_info_t info;
  check(H5Lget_info(group, link.c_str(), &info, H5P_DEFAULT), "H5Lget_info", where);
  if (info.type != H5L_TYPE_HARD) {
    throw FormatError(where + ": is a soft, external or user-defined link; lockstep follows none");
  }
}

/// Every component of the path, since a group on the way may be a link as well.
void check_hard_links(const File& file, const std::string& where, const std::string& name) {
  for (std::size_t end = 0; end != std::string::npos;) {
    end = name.find('/', end + 1);
    check_hard_link(file.get(), name.substr(0, end), where + ": " + name.substr(0, end));
  }
}

herr_t append_name(hid_t, const char* name, const H5L_info_t*, void* names) noexcept {
  try {
    static_cast<std::vector<std::string>*>(names)->emplace_back(name);
    return 0;
  } catch (...) {
    return -1;  // an exception must not cross the library
  }
}

std::vector<std::string> links_of(hid_t group, const std::string& where) {
  std::vector<std::string> names;
  hsize_t position = 0;
  check(H5Literate(group, H5_INDEX_NAME, H5_ITER_NATIVE, &position, append_name, &names),
        "H5Literate", where);
  return names;
}

bool leads_to_one_of(const std::set<std::string>& names, const std::string& group) {
  const auto next = names.lower_bound(group + "/");
  return next != names.end() && next->starts_with(group + "/");
}

/// Only groups that lead to an expected name are entered, so a cycle of groups comes to an end.
std::size_t count_datasets(hid_t group, const std::string& prefix, const std::string& where,
                           const std::set<std::string>& names) {
  std::size_t found = 0;
  for (const std::string& link : links_of(group, where)) {
    const std::string name = prefix + link;
    check_hard_link(group, link, where + ": " + name);
    const Object object(
        check(H5Oopen(group, link.c_str(), H5P_DEFAULT), "H5Oopen", where + ": " + name));
    const H5I_type_t kind = H5Iget_type(object.get());
    if (kind == H5I_DATASET && names.contains(name)) {
      ++found;
    } else if (kind == H5I_GROUP && leads_to_one_of(names, name)) {
      found += count_datasets(object.get(), name + "/", where, names);
    } else {
      throw FormatError(where + ": " + name + ": is not listed for this file");
    }
  }
  return found;
}

std::vector<std::int64_t> dims_of(const Dataset& dataset, const std::string& at) {
  const Dataspace space(check(H5Dget_space(dataset.get()), "H5Dget_space", at));
  const H5S_class_t kind = H5Sget_simple_extent_type(space.get());
  if (kind == H5S_SCALAR) return {};
  if (kind != H5S_SIMPLE) throw FormatError(at + ": has no simple extent");
  const int rank = check(H5Sget_simple_extent_ndims(space.get()), "H5Sget_simple_extent_ndims", at);
  std::vector<hsize_t> extents(static_cast<std::size_t>(rank));
  std::vector<hsize_t> most(extents.size());
  check(H5Sget_simple_extent_dims(space.get(), extents.data(), most.data()),
        "H5Sget_simple_extent_dims", at);
  if (extents != most) throw FormatError(at + ": can grow; expected fixed dims");
  return {extents.begin(), extents.end()};
}

void check_storage(const Dataset& dataset, const std::string& at, ElementType type) {
  const Datatype stored(check(H5Dget_type(dataset.get()), "H5Dget_type", at));
  if (check(H5Tequal(stored.get(), file_type(type)), "H5Tequal", at) == 0) {
    throw FormatError(at + ": its elements are not little-endian " + name_of(type));
  }
  const PropertyList creation(check(H5Dget_create_plist(dataset.get()), "H5Dget_create_plist", at));
  if (H5Pget_layout(creation.get()) != H5D_CONTIGUOUS) {
    throw FormatError(at + ": is not stored contiguously");
  }
  if (check(H5Pget_nfilters(creation.get()), "H5Pget_nfilters", at) != 0) {
    throw FormatError(at + ": is stored through filters");
  }
  if (check(H5Pget_external_count(creation.get()), "H5Pget_external_count", at) != 0) {
    throw FormatError(at + ": keeps its values in another file");
  }
}

struct OpenDataset {
  Dataset dataset;
  DatasetShape shape;
};

OpenDataset open_dataset(const File& file, const std::string& where, const std::string& name,
                         ElementType type) {
  const std::string at = where + ": " + name;
  check_hard_links(file, where, name);
  OpenDataset opened;
  opened.dataset = Dataset(check(H5Dopen2(file.get(), name.c_str(), H5P_DEFAULT), "H5Dopen2", at));
  check_storage(opened.dataset, at, type);
  opened.shape.dims = dims_of(opened.dataset, at);
  const std::int64_t elements = elements_of(opened.shape.dims, at);
  if (elements > 0) {
    const haddr_t offset = H5Dget_offset(opened.dataset.get());
    if (offset == HADDR_UNDEF) throw FormatError(at + ": its values were never written");
    opened.shape.offset = offset;
  }
  return opened;
}

}  // namespace

std::size_t bytes_of(ElementType type) {
  switch (type) {
    case ElementType::kUint8:
      return 1;
    case ElementType::kUint64:
      return 8;
    default:
      return 4;
  }
}

const char* name_of(ElementType type) {
  switch (type) {
    case ElementType::kFloat32:
      return "f32";
    case ElementType::kUint8:
      return "u8";
    case ElementType::kInt32:
      return "i32";
    case ElementType::kUint64:
      return "u64";
  }
  throw InternalError("hdf5: unknown element type");
}

std::int64_t elements_of(const std::vector<std::int64_t>& dims, const std::string& name) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max() / 8;  // bytes fit as well
  std::int64_t elements = 1;
  for (const std::int64_t extent : dims) {
    if (extent < 0 || (extent > 0 && elements > kMost / extent)) {
      throw FormatError(name + ": dims " + to_text(dims) + " are not possible");
    }
    elements *= extent;
  }
  return elements;
}

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
                              std::int64_t elements) {
  const Lock lock;
  Dataset dataset = create_dataset(file, name, type, {elements});
  const haddr_t offset = elements == 0 ? 0 : H5Dget_offset(dataset.get());
  if (offset == HADDR_UNDEF) throw_call_error("H5Dget_offset", name);
  dataset.close(name);
  return offset;
}

void check_only(const File& file, const std::string& where, const std::set<std::string>& names) {
  const Lock lock;
  const Group root(check(H5Gopen2(file.get(), "/", H5P_DEFAULT), "H5Gopen2", where));
  const std::size_t found = count_datasets(root.get(), "", where, names);
  if (found != names.size()) {
    throw FormatError(where + ": holds " + std::to_string(found) + " of " +
                      std::to_string(names.size()) + " datasets that are listed for it");
  }
}

DatasetShape inspect_dataset(const File& file, const std::string& where, const std::string& name,
                             ElementType type) {
  const Lock lock;
  return open_dataset(file, where, name, type).shape;
}

void read_dataset(const File& file, const std::string& where, const std::string& name,
                  ElementType type, const std::vector<std::int64_t>& dims,
                  std::span<std::byte> values) {
  const Lock lock;
  const OpenDataset opened = open_dataset(file, where, name, type);
  const std::string at = where + ": " + name;
  if (opened.shape.dims != dims) {
    throw FormatError(at + ": has dims " + to_text(opened.shape.dims) + ", expected " +
                      to_text(dims));
  }
  if (values.size() != static_cast<std::uint64_t>(elements_of(dims, at)) * bytes_of(type)) {
    throw InternalError(at + ": a buffer of " + std::to_string(values.size()) +
                        " bytes does not fit dims " + to_text(dims));
  }
  if (values.empty()) return;
  check(H5Dread(opened.dataset.get(), memory_type(type), H5S_ALL, H5S_ALL, H5P_DEFAULT,
                values.data()),
        "H5Dread", at);
}

}  // namespace lockstep::hdf5
