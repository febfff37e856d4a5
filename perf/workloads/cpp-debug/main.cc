// A program with a database in it: it exists to be linked with full debug information.
//
//   cpp-debug --self-check     keeps a database in a temporary folder and prints what came of it
//
// The self-check writes, flushes, compacts, merges, reads back and iterates, in several threads of the
// database's own, and catches an exception. Its output is the same every time.

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>

#include "rocksdb/convenience.h"
#include "rocksdb/db.h"
#include "rocksdb/filter_policy.h"
#include "rocksdb/merge_operator.h"
#include "rocksdb/options.h"
#include "rocksdb/table.h"
#include "rocksdb/utilities/transaction.h"
#include "rocksdb/utilities/transaction_db.h"
#include "rocksdb/write_batch.h"

namespace {

void require(const rocksdb::Status &status) {
  if (!status.ok())
    throw std::runtime_error(status.ToString());
}

std::string key(int number) {
  char text[16];
  std::snprintf(text, sizeof text, "key-%06d", number);
  return text;
}

void check(const std::string &folder) {
  rocksdb::Options options;
  options.create_if_missing = true;
  options.write_buffer_size = 64 << 10;
  options.IncreaseParallelism(2);
  rocksdb::BlockBasedTableOptions table;
  table.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  require(rocksdb::MergeOperator::CreateFromString(rocksdb::ConfigOptions(), "stringappend",
                                                   &options.merge_operator));

  rocksdb::TransactionDB *opened = nullptr;
  require(rocksdb::TransactionDB::Open(options, rocksdb::TransactionDBOptions(), folder, &opened));
  std::unique_ptr<rocksdb::TransactionDB> db(opened);

  for (int number = 0; number < 5000; number += 10) {
    rocksdb::WriteBatch batch;
    for (int i = number; i < number + 10; ++i)
      require(batch.Put(key(i), std::string(100, static_cast<char>('a' + i % 26))));
    require(db->Write(rocksdb::WriteOptions(), &batch));
  }
  require(db->Flush(rocksdb::FlushOptions()));
  for (int number = 0; number < 5000; number += 2)
    require(db->Delete(rocksdb::WriteOptions(), key(number)));
  require(db->Merge(rocksdb::WriteOptions(), "list", "one"));
  require(db->Merge(rocksdb::WriteOptions(), "list", "two"));

  std::unique_ptr<rocksdb::Transaction> transaction(db->BeginTransaction(rocksdb::WriteOptions()));
  require(transaction->Put("committed", "yes"));
  require(transaction->Commit());
  require(db->CompactRange(rocksdb::CompactRangeOptions(), nullptr, nullptr));

  int count = 0;
  std::unique_ptr<rocksdb::Iterator> iterator(db->NewIterator(rocksdb::ReadOptions()));
  for (iterator->SeekToFirst(); iterator->Valid(); iterator->Next())
    ++count;
  require(iterator->status());
  iterator.reset();
  std::string list, value;
  require(db->Get(rocksdb::ReadOptions(), "list", &list));
  std::printf("entries: %d\nlist: %s\n", count, list.c_str());
  std::printf("deleted: %s\n", db->Get(rocksdb::ReadOptions(), key(2), &value).IsNotFound() ? "gone" : "there");
  std::printf("read: %s\n", db->Get(rocksdb::ReadOptions(), key(3), &value).ok() ? value.substr(0, 3).c_str() : "-");

  try {
    std::unique_ptr<rocksdb::DB> again;
    require(rocksdb::DB::Open(options, folder, &again));
  } catch (const std::runtime_error &error) {
    std::printf("opened twice: refused\n");
  }
}

} // namespace

int main(int argc, char **argv) {
  if (argc != 2 || std::string(argv[1]) != "--self-check") {
    std::fprintf(stderr, "usage: %s --self-check\n", argv[0]);
    return 2;
  }
  const char *parent = std::getenv("TMPDIR");
  std::string folder = std::string(parent ? parent : "/tmp") + "/cpp-debug-XXXXXX";
  if (!mkdtemp(folder.data()))
    return 1;
  int result = 1;
  try {
    check(folder);
    result = 0;
  } catch (const std::exception &error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  rocksdb::DestroyDB(folder, rocksdb::Options());
  if (result == 0)
    std::printf("self-check passed\n");
  return result;
}
