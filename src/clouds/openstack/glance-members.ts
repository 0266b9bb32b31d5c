import { z } from 'zod'
import type { AbortOptions } from '../../core/abort.ts'
import type { ImageMember, ImageService } from '../cloud.ts'
import { CloudError } from '../errors.ts'
import { getRecord, imageRequest, isCloudError } from './glance-api.ts'
import type { OpenStackSession } from './session.ts'

const memberSchema = z.object({
  member_id: z.string(),
  status: z.enum(['pending', 'accepted', 'rejected']),
})

/** Who an image is shared with (`images/{id}/members`). Members are projects, by id. */
export function glanceMembers(
  session: OpenStackSession,
): Pick<ImageService, 'members' | 'share' | 'unshare' | 'accept'> {
  return {
    async members(id, options) {
      try {
        const answer = await imageRequest(session, id, { path: 'members', ...options })
        return (await answer.json(z.object({ members: z.array(memberSchema) }))).members.map(toMember)
      } catch (error) {
        // What is not shared has no members, which Glance says by refusing to list them.
        if (isCloudError(error, 'CLOUD_FORBIDDEN') && !(await isShared(id, options))) return []
        throw error
      }
    },

    async share(id, member, options) {
      try {
        const answer = await imageRequest(session, id, {
          method: 'POST',
          path: 'members',
          json: { member },
          accept: [409],
          repeatable: true,
          ...options,
        })
        if (answer.status !== 409) return toMember(await answer.json(memberSchema))
        await answer.discard()
        return await memberOf(id, member, options)
      } catch (error) {
        if (isCloudError(error, 'CLOUD_FORBIDDEN') && !(await isShared(id, options)))
          throw notShared(id, error)
        throw error
      }
    },

    async unshare(id, member, options) {
      const path = `members/${encodeURIComponent(member)}`
      const answer = await imageRequest(session, id, {
        method: 'DELETE',
        path,
        accept: [403, 404],
        ...options,
      })
      await answer.discard()
      if (answer.status < 400) return
      // It is the image that is missing, or the member, who need not be removed then.
      const record = await getRecord(session, id, options)
      if (answer.status === 403 && record.visibility === 'shared') {
        throw new CloudError(
          'CLOUD_FORBIDDEN',
          `Cloud "${session.cloudName}" does not let this account take image ${id} back.`,
          {
            hint: 'Only the owner of an image may do that.',
            details: { status: 403, requestId: answer.requestId },
          },
        )
      }
    },

    async accept(id, options) {
      const { projectId } = await session.account(options)
      const path = `members/${projectId}`
      const answer = await imageRequest(session, id, {
        method: 'PUT',
        path,
        json: { status: 'accepted' },
        ...options,
      })
      return toMember(await answer.json(memberSchema))
    },
  }

  async function memberOf(id: string, member: string, options: AbortOptions = {}): Promise<ImageMember> {
    const path = `members/${encodeURIComponent(member)}`
    return toMember(await (await imageRequest(session, id, { path, ...options })).json(memberSchema))
  }

  async function isShared(id: string, options: AbortOptions = {}): Promise<boolean> {
    return (await getRecord(session, id, options)).visibility === 'shared'
  }
}

function toMember({ member_id, status }: z.infer<typeof memberSchema>): ImageMember {
  return { member: member_id, status }
}

function notShared(id: string, cause: unknown): CloudError {
  return new CloudError('IMAGE_STATE', `Image ${id} is not shared, so it has no members.`, {
    hint: 'Set its visibility to "shared" first.',
    cause,
  })
}
