/* SPDX-License-Identifier: MIT */
/* The table of nodes. */
#include "lib/watch/nodes.h"

#include <stdlib.h>
#include <string.h>

#include "lib/base/alloc.h"
#include "lib/base/buf.h"

struct nodes {
	struct node **table;
	size_t size; /* power of two */
	size_t n_files;
	size_t n_dirs;
	struct dir *top;
};

static uint32_t hash_of(const struct dir *parent, const char *name)
{
	uint64_t h = (uint64_t)(uintptr_t)parent * UINT64_C(0x9e3779b97f4a7c15);

	for (; *name != '\0'; name++)
		h = (h ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
	return (uint32_t)(h ^ (h >> 32));
}

struct dir *as_dir(struct node *node)
{
	return (struct dir *)(void *)node;
}

struct file *as_file(struct node *node)
{
	return (struct file *)(void *)node;
}

const char *node_name(const struct node *node)
{
	return node->is_dir ? (const char *)node + offsetof(struct dir, name) :
			      (const char *)node + offsetof(struct file, name);
}

struct nodes *nodes_new(void)
{
	struct nodes *n = xcalloc(1, sizeof(*n));

	n->size = 1024;
	n->table = xcalloc(n->size, sizeof(struct node *));
	n->top = xcalloc(1, sizeof(*n->top) + 1);
	n->top->node.is_dir = true;
	n->top->wd = -1;
	return n;
}

void nodes_free(struct nodes *n)
{
	struct node *node, *next;
	size_t i;

	if (n == NULL)
		return;
	for (i = 0; i < n->size; i++) {
		for (node = n->table[i]; node != NULL; node = next) {
			next = node->chain;
			free(node);
		}
	}
	free(n->table);
	free(n->top);
	free(n);
}

struct dir *nodes_top(struct nodes *n)
{
	return n->top;
}

size_t nodes_files(const struct nodes *n)
{
	return n->n_files;
}

size_t nodes_dirs(const struct nodes *n)
{
	return n->n_dirs;
}

static struct node *find(const struct nodes *n, const struct dir *parent,
			 const char *name, bool is_dir)
{
	uint32_t hash = hash_of(parent, name);
	struct node *node = n->table[hash & (n->size - 1)];

	while (node != NULL &&
	       (node->hash != hash || node->parent != parent ||
		node->is_dir != is_dir || strcmp(node_name(node), name) != 0))
		node = node->chain;
	return node;
}

struct dir *dir_find(const struct nodes *n, const struct dir *parent,
		     const char *name)
{
	return as_dir(find(n, parent, name, true));
}

struct file *file_find(const struct nodes *n, const struct dir *parent,
		       const char *name)
{
	return as_file(find(n, parent, name, false));
}

static void grow(struct nodes *n)
{
	size_t size = n->size * 2, i;
	struct node **table = xcalloc(size, sizeof(struct node *));
	struct node *node, *next;

	for (i = 0; i < n->size; i++) {
		for (node = n->table[i]; node != NULL; node = next) {
			next = node->chain;
			node->chain = table[node->hash & (size - 1)];
			table[node->hash & (size - 1)] = node;
		}
	}
	free(n->table);
	n->table = table;
	n->size = size;
}

static void insert(struct nodes *n, struct node *node, struct dir *parent,
		   const char *name)
{
	struct node **slot;

	if (n->n_files + n->n_dirs >= n->size)
		grow(n);
	node->hash = hash_of(parent, name);
	slot = &n->table[node->hash & (n->size - 1)];
	node->chain = *slot;
	*slot = node;
	node->parent = parent;
	node->next = parent->children;
	if (node->next != NULL)
		node->next->prev = node;
	parent->children = node;
	parent->node.refs++;
}

struct dir *dir_get(struct nodes *n, struct dir *parent, const char *name)
{
	struct dir *d = dir_find(n, parent, name);
	size_t len = strlen(name);

	if (d != NULL)
		return d;
	d = xcalloc(1, sizeof(*d) + len + 1);
	d->node.is_dir = true;
	d->wd = -1;
	d->path_len = parent->path_len + 1 + (uint32_t)len;
	memcpy(d->name, name, len);
	insert(n, &d->node, parent, name);
	n->n_dirs++;
	return d;
}

struct file *file_get(struct nodes *n, struct dir *parent, const char *name)
{
	struct file *f = file_find(n, parent, name);
	size_t len = strlen(name);

	if (f != NULL)
		return f;
	f = xcalloc(1, sizeof(*f) + len + 1);
	memcpy(f->name, name, len);
	insert(n, &f->node, parent, name);
	n->n_files++;
	return f;
}

void node_free(struct nodes *n, struct node *node)
{
	struct node **p = &n->table[node->hash & (n->size - 1)];

	while (*p != node)
		p = &(*p)->chain;
	*p = node->chain;
	if (node->prev != NULL)
		node->prev->next = node->next;
	else
		node->parent->children = node->next;
	if (node->next != NULL)
		node->next->prev = node->prev;
	node->parent->node.refs--;
	if (node->is_dir)
		n->n_dirs--;
	else
		n->n_files--;
	free(node);
}

const char *node_path(const struct node *node, struct buf *b)
{
	const struct node *up = node;
	size_t len = 0;
	char *end;

	buf_clear(b);
	if (node->parent == NULL) {
		buf_add_char(b, '/');
		return buf_str(b);
	}
	len = node->parent->path_len + 1 + strlen(node_name(node));
	end = buf_reserve(b, len);
	if (end == NULL)
		return "";
	end += len;
	for (; up->parent != NULL; up = &up->parent->node) {
		const char *name = node_name(up);
		size_t n = strlen(name);

		end -= n;
		memcpy(end, name, n);
		*--end = '/';
	}
	buf_commit(b, len);
	return buf_str(b);
}
