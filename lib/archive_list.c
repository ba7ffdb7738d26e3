#include "lib/archive.h"

#include "lib/memory.h"
#include "lib/text.h"

#include <stdlib.h>

struct entry {
    struct archive_item item; /* points to: */
    char *path, *target;
    void *data;
};

struct archive_list {
    struct entry *entries;
    size_t count, capacity;
    size_t next;
};

struct archive_list *archive_list_new(void) {
    return mem_new(struct archive_list);
}

void archive_list_free(struct archive_list *list) {
    for (size_t i = 0; i < list->count; i++) {
        free(list->entries[i].path);
        free(list->entries[i].target);
        free(list->entries[i].data);
    }
    free(list->entries);
    free(list);
}

/* Copies what the item points to. */
static void add(struct archive_list *list, const struct archive_item *item) {
    mem_grow(list->entries, list->count, list->capacity);
    struct entry *e = &list->entries[list->count++];
    *e = (struct entry){
        .item = *item, .path = text_dup(item->path), .target = text_dup(item->target)};
    if (item->kind == ARCHIVE_ITEM_FILE)
        e->data = item->size ? mem_dup(item->data, (size_t)item->size) : mem_zero(1, 1);
    e->item.path = e->path;
    e->item.target = e->target;
    e->item.data = e->data;
    e->item.fd = -1;
}

void archive_list_file(struct archive_list *list, const char *path, unsigned mode, const void *data,
                       size_t size) {
    add(list,
        &(struct archive_item){
            .kind = ARCHIVE_ITEM_FILE, .path = path, .mode = mode, .size = size, .data = data});
}

void archive_list_directory(struct archive_list *list, const char *path, unsigned mode) {
    add(list, &(struct archive_item){.kind = ARCHIVE_ITEM_DIRECTORY, .path = path, .mode = mode});
}

void archive_list_symlink(struct archive_list *list, const char *path, const char *target) {
    add(list, &(struct archive_item){
                  .kind = ARCHIVE_ITEM_SYMLINK, .path = path, .mode = 0777, .target = target});
}

static int next_item(void *user, struct archive_item *ret_item, struct error *err) {
    (void)err;
    struct archive_list *list = user;
    if (list->next == list->count)
        return 1;
    *ret_item = list->entries[list->next++].item;
    return 0;
}

struct archive_items archive_list_items(struct archive_list *list) {
    list->next = 0;
    return (struct archive_items){.next = next_item, .user = list};
}
