#include "lib/archive.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>

struct archive_list {
    struct archive_item *items;
    size_t count, capacity;
    size_t next;
};

struct archive_list *archive_list_new(void) {
    return mem_new(struct archive_list);
}

void archive_list_free(struct archive_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free((void *)(uintptr_t)list->items[i].path);
        free((void *)(uintptr_t)list->items[i].data);
        free((void *)(uintptr_t)list->items[i].target);
    }
    free(list->items);
    free(list);
}

static void add(struct archive_list *list, struct archive_item item) {
    mem_grow(list->items, list->count, list->capacity);
    item.path = text_dup(item.path);
    item.fd = -1;
    list->items[list->count++] = item;
}

void archive_list_file(struct archive_list *list, const char *path, unsigned mode, const void *data,
                       size_t size) {
    add(list, (struct archive_item){.kind = ARCHIVE_ITEM_FILE,
                                    .path = path,
                                    .mode = mode,
                                    .size = size,
                                    .data = size ? mem_dup(data, size) : mem_zero(1, 1)});
}

void archive_list_directory(struct archive_list *list, const char *path, unsigned mode) {
    add(list, (struct archive_item){.kind = ARCHIVE_ITEM_DIRECTORY, .path = path, .mode = mode});
}

void archive_list_symlink(struct archive_list *list, const char *path, const char *target) {
    add(list,
        (struct archive_item){
            .kind = ARCHIVE_ITEM_SYMLINK, .path = path, .mode = 0777, .target = text_dup(target)});
}

static int next_item(void *user, struct archive_item *ret_item, struct error *err) {
    (void)err;
    struct archive_list *list = user;
    if (list->next == list->count)
        return 1;
    *ret_item = list->items[list->next++];
    return 0;
}

struct archive_items archive_list_items(struct archive_list *list) {
    list->next = 0;
    return (struct archive_items){.next = next_item, .user = list};
}
