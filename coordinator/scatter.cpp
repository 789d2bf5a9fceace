#include "coordinator/scatter.h"

#include <cstring>
#include <nlohmann/json.hpp>

#include "data/error.h"

namespace lockstep {

namespace {

constexpr int kTag = 7;

/// DatasetInfo as text: what ranks need to decode samples and to build the model.
std::string to_text(const DatasetInfo& info) {
  nlohmann::json j{{"source", info.source},
                   {"origin", info.origin},
                   {"path", info.path},
                   {"split", info.split},
                   {"format", static_cast<int>(info.format)},
                   {"channels", info.channels},
                   {"height", info.height},
                   {"width", info.width},
                   {"classes", info.classes},
                   {"masks", info.masks},
                   {"ignore_label", info.ignore_label},
                   {"class_names", info.class_names},
                   {"samples", info.samples}};
  // names of folders are any bytes
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

DatasetInfo from_text(const std::string& text) {
  const nlohmann::json j = nlohmann::json::parse(text);
  DatasetInfo info;
  info.source = j["source"];
  info.origin = j["origin"];
  info.path = j["path"];
  info.split = j["split"];
  info.format = static_cast<SampleFormat>(j["format"].get<int>());
  info.channels = j["channels"];
  info.height = j["height"];
  info.width = j["width"];
  info.classes = j["classes"];
  info.masks = j["masks"];
  info.ignore_label = j["ignore_label"];
  info.class_names = j["class_names"].get<std::vector<std::string>>();
  info.samples = j["samples"];
  return info;
}

/// Each sample's header in a message; the bytes follow all headers.
struct Header {
  std::int64_t bytes;
  std::int64_t label;
};

}  // namespace

SampleScatter::SampleScatter(std::unique_ptr<Dataset> source, const Communicator& world)
    : world_(world), source_(std::move(source)) {
  std::string text = source_ ? to_text(source_->info()) : "";
  world.broadcast(text, 0, "data set");
  if (!source_) received_ = std::make_unique<ReceivedDataset>(from_text(text));
}

const Dataset& SampleScatter::dataset() const {
  return source_ ? *source_ : static_cast<const Dataset&>(*received_);
}

std::int64_t SampleScatter::send(const std::vector<std::vector<std::int64_t>>& wanted) {
  if (world_.rank() == 0) {
    for (int r = 1; r < world_.size(); ++r) send_to(r, wanted[static_cast<std::size_t>(r)]);
  } else {
    receive(wanted[static_cast<std::size_t>(world_.rank())]);
  }
  return window_++;
}

void SampleScatter::forget_before(std::int64_t window) {
  if (received_) received_->drop_before(window);
}

void SampleScatter::send_to(int rank, const std::vector<std::int64_t>& samples) const {
  std::vector<Header> headers;
  std::vector<std::uint8_t> bytes;
  for (std::int64_t index : samples) {
    const std::vector<std::uint8_t> encoded = source_->encoded(index);
    headers.push_back({static_cast<std::int64_t>(encoded.size()), source_->label(index)});
    bytes.insert(bytes.end(), encoded.begin(), encoded.end());
  }
  world_.send(std::as_bytes(std::span(headers)), rank, kTag, "scatter headers");
  world_.send(std::as_bytes(std::span(bytes)), rank, kTag, "scatter samples");
}

void SampleScatter::receive(const std::vector<std::int64_t>& samples) {
  std::vector<Header> headers(samples.size());
  world_.recv(std::as_writable_bytes(std::span(headers)), 0, kTag, "scatter headers");
  std::size_t total = 0;
  for (const Header& h : headers) total += static_cast<std::size_t>(h.bytes);
  std::vector<std::uint8_t> bytes(total);
  world_.recv(std::as_writable_bytes(std::span(bytes)), 0, kTag, "scatter samples");
  auto at = bytes.begin();
  for (std::size_t i = 0; i < samples.size(); ++i) {
    const auto end = at + headers[i].bytes;
    received_->insert(window_, samples[i], static_cast<int>(headers[i].label), {at, end});
    at = end;
  }
}

}  // namespace lockstep
